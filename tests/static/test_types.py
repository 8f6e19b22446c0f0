"""The types in the page's JSDoc hold."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.packages import package

STATIC = Path(__file__).parent.parent.parent / "static"
OPTIONS = (
    "--checkJs --noEmit --strict --target esnext --module esnext --moduleResolution bundler "
    "--lib esnext,dom,dom.iterable"
)


@pytest.mark.long
def test_the_types_in_jsdoc_hold() -> None:
    compiler = package("typescript", "5.9.3") / "bin" / "tsc"
    node = shutil.which("node") or sys.exit("npm without node")
    files = sorted(path for path in STATIC.rglob("*.js") if path.name != "theme.js")

    found = subprocess.run([node, compiler, *OPTIONS.split(), *files], capture_output=True, text=True, check=False)

    assert found.stdout.replace(f"{STATIC}/", "") == ""
