"""npm packages for tests alone: fetched when a long test asks, into this user's cache; nothing of them is shipped."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

INSTALL_S = 110


def package(name: str, version: str) -> Path:
    """The directory of an installed package."""
    npm = shutil.which("npm")
    if not npm:
        reason = f"NO NPM: install it; what {name} would find out is not tested"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chat-server-tests" / f"{name}-{version}"
    found = home / "node_modules" / name
    if not (found / "package.json").exists():
        home.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", home]
        subprocess.run([*command, f"{name}@{version}"], check=True, timeout=INSTALL_S)
    return found
