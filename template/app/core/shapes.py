"""Which columns a schema needs, and how rows of them become its values."""

from collections.abc import Collection, Sequence
from typing import Any, get_args

from pydantic import BaseModel
from sqlalchemy import ColumnElement, bindparam, inspect, select
from sqlalchemy.orm import QueryableAttribute, RelationshipProperty, aliased


class Shape:
    """The columns for the fields of a schema that an entity has, and for the records they nest.

    The first column is the primary key: without it, a nested record does not exist. `extras` are
    the fields that the query selects itself.
    """

    def __init__(
        self, entity: Any, schema: type[BaseModel], *, extras: Collection[str] = (), first: int = 0
    ) -> None:
        mapper = inspect(entity).mapper
        key = mapper.get_property_by_column(mapper.primary_key[0]).key
        self.entity = entity
        self.first = first
        self.keys = [key]
        self.columns = [getattr(entity, key)]
        self.joins: list[Any] = []
        self.parts: dict[str, Shape] = {}
        self.collections: dict[str, type[BaseModel]] = {}
        related: dict[str, tuple[RelationshipProperty[Any], type[BaseModel]]] = {}
        for field, info in schema.model_fields.items():
            name = info.validation_alias if isinstance(info.validation_alias, str) else field
            attribute = getattr(entity, name, None)
            if relationship := mapper.relationships.get(name):
                related[name] = relationship, schema_within(info.annotation)
            elif name == key:
                continue
            elif isinstance(attribute, QueryableAttribute | ColumnElement):
                self.keys.append(name)
                self.columns.append(attribute)
            elif name not in extras:
                raise TypeError(f"{schema.__name__}.{name} is not a column: use `get`.")
        for name, (relationship, part) in related.items():
            if relationship.uselist:
                self.collections[name] = part
            else:
                self.nest(name, aliased(relationship.mapper.class_), part)

    def nest(self, name: str, target: Any, schema: type[BaseModel]) -> None:
        part = Shape(target, schema, first=self.first + len(self.columns))
        if part.collections:
            raise TypeError(f"{schema.__name__} has lists in a nested record: use get.")
        self.parts[name] = part
        self.columns += part.columns
        self.joins += [getattr(self.entity, name).of_type(target), *part.joins]

    def record(self, row: Sequence[Any]) -> dict[str, Any]:
        """Return the values by field, those of nested records as a dictionary or `None`."""
        own = row[self.first :] if self.first else row
        record = dict(zip(self.keys, own, strict=False))
        for name, part in self.parts.items():
            record[name] = None if row[part.first] is None else part.record(row)
        return record

    def select_collection(self, name: str, size: int) -> Any:
        """Return a query for the collections of `size` records, `id_0`, `id_1`, and so on.

        Its rows have the primary key of the record as `parent`.
        """
        relationship = inspect(self.entity).mapper.relationships[name]
        parent = aliased(self.entity)
        key = getattr(parent, self.keys[0])
        ids = [bindparam(f"id_{number}", type_=key.type) for number in range(size)]
        query = select(relationship.mapper.class_, key.label("parent")).select_from(parent)
        query = query.join(getattr(parent, name)).where(key.in_(ids))
        return query.order_by(*(relationship.order_by or ()))


def schema_within(annotation: Any) -> type[BaseModel]:
    """Return the schema in `UserRead`, `UserRead | None` or `list[UserRead]`."""
    for each in (annotation, *get_args(annotation)):
        if isinstance(each, type) and issubclass(each, BaseModel):
            return each
    raise TypeError(f"{annotation} has no schema for a related record.")
