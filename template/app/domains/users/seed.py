"""People for `app db seed`. One in fifty is deleted, one in twenty is not active."""

from datetime import timedelta

from app.core.seeds import Rows, Seed, SeedContext
from app.domains.users.models import User

FIRST_NAMES = (
    "Ada Alan Alice Amara Anders Anna Barbara Ben Carlos Chen Clara Daniel Diego Edith Elena Emil"
    " Fatima Felix Freya Grace Hana Hugo Ines Ivan Jana Jorge Kamal Katja Lars Leila Lucia Mateo"
    " Maya Mina Nadia Noah Olga Omar Paula Pavel Priya Rosa Samir Sara Sofia Tomas Vera Yuki Zoe"
).split()
LAST_NAMES = (
    "Adeyemi Almeida Andersson Bauer Becker Bianchi Castillo Chen Costa Dubois Eriksson Fischer"
    " Fontana Garcia Gupta Haddad Hansen Ito Ivanova Jensen Kaya Kim Kowalski Larsen Lopez Mbeki"
    " Meyer Moreau Nakamura Nguyen Novak Okafor Olsen Patel Petrov Reyes Rossi Saito Santos Schmidt"
    " Silva Singh Tanaka Torres Varga Virtanen Wagner Weber Yilmaz Zhang"
).split()


def rows(context: SeedContext) -> Rows:
    random, number = context.random, context.number
    first, last = random.choice(FIRST_NAMES), random.choice(LAST_NAMES)
    created_at = context.created_at
    is_deleted = random.random() < 0.02
    deleted_at = created_at + timedelta(days=random.randrange(1, 90)) if is_deleted else None
    yield (
        User,
        {
            "id": context.next_id(),
            "email": f"{first}.{last}.{number}@example.com".lower(),
            "full_name": f"{first} {last}",
            "is_active": random.random() >= 0.05,
            "created_at": created_at,
            "updated_at": deleted_at or created_at,
            "deleted_at": deleted_at,
            "is_live": None if is_deleted else True,
        },
    )


seed = Seed(models=(User,), rows=rows, count=1000)
