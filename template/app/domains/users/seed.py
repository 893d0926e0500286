"""People for `app db seed`. One in fifty is deleted, one in twenty is not active."""

from datetime import timedelta

from app.core.seeds import Rows, Seed, SeedContext
from app.domains.users.models import User

FIRST_NAMES = (
    *("Ada", "Alan", "Amara", "Anders", "Barbara", "Chen", "Clara", "Diego", "Elena", "Fatima"),
    *("Felix", "Grace", "Hana", "Ivan", "Jana", "Kamal", "Leila", "Mateo", "Maya", "Noah"),
    *("Olga", "Omar", "Priya", "Rosa", "Samir", "Sofia", "Tomas", "Vera", "Yuki", "Zoe"),
)
LAST_NAMES = (
    *("Adeyemi", "Almeida", "Bauer", "Bianchi", "Castillo", "Costa", "Dubois", "Eriksson"),
    *("Fischer", "Garcia", "Gupta", "Haddad", "Ito", "Jensen", "Kaya", "Kowalski", "Mbeki"),
    *("Moreau", "Nakamura", "Nguyen", "Novak", "Okafor", "Patel", "Petrov", "Rossi", "Santos"),
    *("Schmidt", "Silva", "Singh", "Torres", "Virtanen", "Yilmaz", "Zhang"),
)


def rows(context: SeedContext) -> Rows:
    random, number = context.random, context.number
    first, last = random.choice(FIRST_NAMES), random.choice(LAST_NAMES)
    created_at = context.created_at
    is_deleted = random.randrange(50) == 0
    deleted_at = created_at + timedelta(days=random.randrange(1, 90)) if is_deleted else None
    yield (
        User,
        {
            "id": context.next_id(),
            "email": f"{first}.{last}.{number}@example.com".lower(),
            "full_name": f"{first} {last}",
            "is_active": random.randrange(20) != 0,
            "created_at": created_at,
            "updated_at": deleted_at or created_at,
            "deleted_at": deleted_at,
            "is_live": None if is_deleted else True,
        },
    )


seed = Seed(models=(User,), rows=rows, count=1000)
