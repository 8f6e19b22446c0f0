"""Reading the documentation: pages, their tables and their code blocks."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PROTOCOL, OPERATIONS = ROOT / "docs/protocol.md", ROOT / "docs/operations.md"
README = ROOT / "README.md"
PAGES = sorted([README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md")])


def section(page: Path, title: str) -> str:
    """What stands under a heading, with the headings below it."""
    found = re.search(rf"^(#+) {re.escape(title)}$\n(.*?)(?=^#{{1,9}} |\Z)", page.read_text(), re.M | re.S)
    assert found is not None, f"{page.name} has no section {title}"
    level = len(found[1])
    whole = re.search(
        rf"^#{{{level}}} {re.escape(title)}$\n(.*?)(?=^#{{1,{level}}} |\Z)", page.read_text(), re.M | re.S
    )
    assert whole is not None
    return whole[1]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row, without headings and rules. A `|` in a cell is written `\\|`."""
    lines = [line for line in text.split("\n") if line.startswith("|")]
    heads = {index - 1 for index, line in enumerate(lines) if re.fullmatch(r"[|\- :]+", line)}
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for index, line in enumerate(lines)
        if index not in heads and index - 1 not in heads
    ]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)


def ticked(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.M | re.S)
