import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.tracebacks import format_traceback
from tests.core.lab import LabShelf


async def add_twice(session: AsyncSession, name: str) -> None:
    session.add_all([LabShelf(name=name), LabShelf(name=name)])
    await session.flush()


def traceback_of(error: BaseException) -> str:
    return format_traceback((type(error), error, error.__traceback__))


@pytest.mark.parametrize("name", ["hush", "hush\nhush", "for key 'hush'", "DETAIL: hush"])
async def test_a_traceback_has_no_values_of_the_database(session: AsyncSession, name: str) -> None:
    with pytest.raises(DBAPIError) as caught:
        await add_twice(session, name)
    error = caught.value
    later = RuntimeError("The response has started.")
    later.__cause__ = ExceptionGroup("Of two tasks", [KeyError("one"), error])

    for each in (error, later):
        text = traceback_of(each)
        assert "sqlalchemy.exc.IntegrityError" in text
        assert "INSERT INTO lab_shelves" in text
        assert "hush" not in text


def test_other_messages_stay_in_the_traceback() -> None:
    assert "KeyError: 'one'" in traceback_of(KeyError("one"))
