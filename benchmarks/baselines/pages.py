"""Pages as the service answers them, from the rows of a driver."""

from typing import Any
from uuid import UUID

NIL = UUID(int=0)  # before all keys
Row = dict[str, Any]


def keyset_page(users: list[Row], limit: int) -> Row:
    """Of one user more than are shown, if there is one."""
    shown = users[:limit]
    return {"items": shown, "next": shown[-1]["id"] if len(users) > limit else None}


def numbered_page(total: int, posts: list[Any], tags: list[Any], page: int, size: int) -> Row:
    tags_of: dict[Any, list[Row]] = {}
    for post_id, tag_id, name in tags:
        tags_of.setdefault(post_id, []).append({"id": tag_id, "name": name})
    items = [
        {
            "id": id,
            "created_at": created_at,
            "updated_at": updated_at,
            "title": title,
            "body": body,
            "is_pinned": is_pinned,
            "author": author_id and {"id": author_id, "full_name": full_name},
            "tags": tags_of.get(id, []),
        }
        for id, created_at, updated_at, title, body, is_pinned, author_id, full_name in posts
    ]
    return {"items": items, "total": total, "page": page, "size": size}
