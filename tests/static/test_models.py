"""The page's logic without a page: node runs the tests beside this file."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def node() -> str:
    found = shutil.which("node")
    if not found:
        reason = "NO NODE: install nodejs; the page's logic is only tested through the browser"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.mark.parametrize("path", sorted(HERE.glob("*.test.mjs")), ids=lambda path: path.name)
def test_the_logic_without_a_page_keeps_its_promises(node: str, path: Path) -> None:
    ran = subprocess.run([node, "--test", path], capture_output=True, text=True, timeout=60, check=False)

    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-2000:]
