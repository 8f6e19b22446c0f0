import gzip
from pathlib import Path

STATIC = Path(__file__).parent.parent.parent / "static"
LIMIT_BYTES = 120 * 1024


def test_the_whole_app_is_under_120_kb_compressed() -> None:
    sizes = {path.name: len(gzip.compress(path.read_bytes())) for path in STATIC.rglob("*") if path.is_file()}

    assert sum(sizes.values()) < LIMIT_BYTES, sizes
