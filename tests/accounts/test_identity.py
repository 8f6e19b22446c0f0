"""The secret that the first start makes and keeps."""

import stat
from pathlib import Path

import pytest

from chat_server.accounts.identity import SECRET_FILE, CannotKeepSecret, secret_of
from tests.house import settings_for


def test_the_first_start_makes_a_strong_secret_that_only_its_owner_reads(tmp_path: Path) -> None:
    found = secret_of(settings_for(tmp_path / "data"))

    path = tmp_path / "data" / SECRET_FILE
    assert len(found) >= 48
    assert path.read_text().strip() == found
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [kept.name for kept in path.parent.iterdir()] == [SECRET_FILE]


def test_every_start_has_the_same_secret_and_every_server_its_own(tmp_path: Path) -> None:
    one, other = settings_for(tmp_path / "one"), settings_for(tmp_path / "other")

    assert secret_of(one) == secret_of(one)
    assert secret_of(one) != secret_of(other)


def test_a_secret_that_is_set_counts_and_nothing_is_kept(tmp_path: Path) -> None:
    assert secret_of(settings_for(tmp_path / "data", secret="s" * 32)) == "s" * 32
    assert not (tmp_path / "data").exists()


def test_a_kept_secret_that_is_too_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / SECRET_FILE).write_text("short\n")

    with pytest.raises(CannotKeepSecret, match="too short") as refused:
        secret_of(settings_for(tmp_path))

    assert "\n" not in str(refused.value)
    assert (tmp_path / SECRET_FILE).read_text() == "short\n"


@pytest.mark.parametrize("place", ["a-file/data", "a-file"])
def test_a_place_where_nothing_can_be_kept_is_said_in_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "a-file").write_text("")

    with pytest.raises(CannotKeepSecret, match="set CHAT_SECRET") as refused:
        secret_of(settings_for(tmp_path / place))

    assert "\n" not in str(refused.value)
