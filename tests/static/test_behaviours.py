"""The table of behaviours names tests that exist."""

import re
from pathlib import Path

BROWSER = Path(__file__).parent.parent / "browser"


def test_every_behaviour_names_tests_that_are_there() -> None:
    table = (BROWSER / "README.md").read_text()
    there = {name for path in BROWSER.glob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())}

    for row in re.findall(r"^\| \d+ \|.*$", table, re.MULTILINE):
        assert re.findall(r"`(test_\w+)`", row), row
    assert set(re.findall(r"`(test_\w+)`", table)) <= there
