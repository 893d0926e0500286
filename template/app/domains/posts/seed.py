"""Posts for `app db seed`: three for each user. One in a hundred is pinned."""

from app.core.seeds import Rows, Seed, SeedContext
from app.domains.posts.models import Post

OPENINGS = ("How we", "Why we", "When to", "How to", "What happens if you", "Five reasons to")
ACTIONS = ("deploy", "measure", "test", "design", "replace", "document", "simplify", "cache")
THINGS = ("a service", "an index", "the database", "a migration", "our queue", "old code", "a form")
SENTENCES = (
    "It started with a report of a customer.",
    "The first attempt was slower than before.",
    "We wrote down what we knew, and measured the rest.",
    "Most of the time was spent where nobody had looked.",
    "The change itself took an afternoon.",
    "We would do it again, with more tests.",
    "Ask us if you want to see the figures.",
)


def rows(context: SeedContext) -> Rows:
    random, created_at = context.random, context.created_at
    words = random.choice(OPENINGS), random.choice(ACTIONS), random.choice(THINGS)
    yield (
        Post,
        {
            "id": context.next_id(),
            "title": " ".join(words),
            "body": " ".join(random.choices(SENTENCES, k=random.randrange(2, 12))),
            "is_pinned": random.randrange(100) == 0,
            "author_id": context.earlier("users"),
            "created_at": created_at,
            "updated_at": created_at,
        },
    )


seed = Seed(models=(Post,), rows=rows, count=3, per="users")
