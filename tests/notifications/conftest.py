from tests.rooms.doors import doors

__all__ = ["doors"]
