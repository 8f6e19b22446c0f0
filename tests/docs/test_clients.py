"""What docs/clients.md shows runs as it stands."""

import os
import subprocess
import sys
from pathlib import Path

import httpx2

from tests.docs.pages import ROOT, blocks
from tests.house import PASSWORD, House, until

CLIENT, SYNC, BOT, TESTING = blocks(ROOT / "docs/clients.md", "python")


def ran(program: str, directory: Path, **environment: str) -> str:
    found = subprocess.run(
        [sys.executable, "-c", program],
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_the_programs_post_and_hear(house: House, tmp_path: Path) -> None:
    credentials = {"username": "ann", "password": PASSWORD}
    httpx2.post(f"{house.url}/api/v1/auth/register", json=credentials)
    token = httpx2.post(f"{house.url}/token", data=credentials).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    httpx2.post(f"{house.url}/api/v1/rooms", json={"name": "general"}, headers=headers)

    assert ran(CLIENT, tmp_path, CHAT_URL=house.url) == "hello from Python\n"
    assert ran(SYNC, tmp_path, CHAT_URL=house.url) == "hello from Python\nand again\n"


def test_the_bot_passes_its_test_and_runs(house: House, tmp_path: Path) -> None:
    (tmp_path / "weather.py").write_text(BOT)
    ran(TESTING, tmp_path)

    bot = house.person("weather")
    environment = {**os.environ, "CHAT_URL": house.url, "CHAT_TOKEN": bot.token}
    program = [sys.executable, "weather.py"]
    with subprocess.Popen(program, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as process:
        until(lambda: f"user:{bot.id}" in house.worker.manager.channels, patience_s=60)
        process.terminate()
        assert process.wait(60) == 0
