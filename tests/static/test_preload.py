"""What the page needs is asked for at once, not found out module by module."""

import re
from pathlib import Path

STATIC = Path(__file__).parent.parent.parent / "static"


def needed_by(module: Path, found: set[Path]) -> set[Path]:
    for target in re.findall(r'from "(\.[^"]+)"', module.read_text()):
        path = (module.parent / target).resolve()
        if path not in found:
            found.add(path)
            needed_by(path, found)
    return found


def test_every_module_that_the_page_imports_is_preloaded_and_no_other() -> None:
    listed = re.findall(r'rel="modulepreload" href="/([^"]+)"', (STATIC / "index.html").read_text())

    assert sorted(listed) == sorted(str(path.relative_to(STATIC)) for path in needed_by(STATIC / "app.js", set()))
