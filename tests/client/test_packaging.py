"""What a program has to install to use the client."""

import subprocess
import sys

SERVER_ONLY = ("fastapi", "starlette", "sqlalchemy", "redis", "uvicorn", "jose", "httpx2", "typer", "pydantic_settings")


def test_the_client_needs_none_of_the_servers_packages() -> None:
    refuse = f"import sys; sys.modules.update(dict.fromkeys({SERVER_ONLY}))"  # importing one of them fails
    program = f"{refuse}; from chat_server.client import Bot, Client, Login, SyncClient, TestBot; print('fine')"

    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert found.stdout == "fine\n", found.stderr
