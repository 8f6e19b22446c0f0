import pytest

from chat_server.shapes import Role
from tests.house import House, Person


@pytest.fixture
def owner(house: House) -> Person:
    """Somebody who owns the server; there may be more."""
    return house.person("olga", Role.OWNER)


@pytest.fixture
def admin(house: House) -> Person:
    return house.person("adam", Role.ADMIN)
