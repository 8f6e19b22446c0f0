"""Under gunicorn: `gunicorn -k chat_server.gunicorn_worker.ChatWorker 'chat_server.app:create_app()'`.

What it lacks against `chat-server serve`: a socket for each worker, and the drain (all sockets close at once, 1012).
"""

from typing import Any

from uvicorn_worker import UvicornWorker

from chat_server.server import server_options
from chat_server.settings import get_settings


class ChatWorker(UvicornWorker):  # type: ignore[misc]  # the package has no types
    """Takes the options that `serve` gives uvicorn; gunicorn decides about addresses, logs and signals."""

    CONFIG_KWARGS: dict[str, Any] = server_options(get_settings())
