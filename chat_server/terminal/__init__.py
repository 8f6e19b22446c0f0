"""Talking to a running server from a terminal, over the Python client."""

from collections.abc import Iterator
from contextlib import contextmanager

from chat_server.client import ClientError


@contextmanager
def in_one_line() -> Iterator[None]:
    """What the client could not do, as the one ConnectionError that the command line prints."""
    try:
        yield
    except ClientError as error:
        raise ConnectionError(str(error)) from error
