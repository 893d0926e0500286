from app.domains.users.models import User


def test_an_address_is_kept_in_lower_case() -> None:
    user = User(email="Ada@Example.COM", full_name="Ada Lovelace")

    user.email = "ÉMILIE@example.com"

    assert user.email == "émilie@example.com"


def test_a_deleted_user_is_not_live_and_a_restored_one_is() -> None:
    user = User(email="ada@example.com", full_name="Ada Lovelace")

    user.mark_deleted()
    assert (user.deleted_at is not None, user.is_live) == (True, None)

    user.restore()
    assert (user.deleted_at, user.is_live) == (None, True)


def test_an_id_is_known_before_the_user_is_stored_and_is_ordered_by_time() -> None:
    ids = [User(email="ada@example.com", full_name="Ada Lovelace").id for _ in range(100)]

    assert ids == sorted(ids)
