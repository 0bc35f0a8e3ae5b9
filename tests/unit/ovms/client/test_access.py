"""Where the token comes from."""

from pathlib import Path

import pytest

from ovms.client.access import Access, find_access
from ovms.client.errors import AccessError

TOKEN = "c0ffee"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / ".config/ovms/token"
    path.parent.mkdir(parents=True)
    path.touch(0o600)
    path.write_text(f"{TOKEN}\n")
    return tmp_path


def test_the_environment_wins(home: Path) -> None:
    found = find_access({"HOME": str(home), "OVMS_API_TOKEN": "other", "OVMS_API_URL": "https://server:6869/"})
    assert found == Access("https://server:6869", "other")


def test_a_file_holds_the_token(home: Path) -> None:
    assert find_access({"HOME": str(home)}) == Access("http://127.0.0.1:6868", TOKEN)
    named = home / "named"
    (home / ".config/ovms/token").rename(named)
    assert find_access({"OVMS_API_TOKEN_FILE": str(named)}).token == TOKEN


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(home: Path, mode: int) -> None:
    (home / ".config/ovms/token").chmod(mode)
    with pytest.raises(AccessError, match="can be read by others"):
        find_access({"HOME": str(home)})


def test_without_a_token_nothing_is_asked(home: Path) -> None:
    (home / ".config/ovms/token").write_text("\n")
    for environment in ({"HOME": str(home)}, {"HOME": str(home / "nobody")}):
        with pytest.raises(AccessError, match="token"):
            find_access(environment)


@pytest.mark.parametrize("url", ["server:6868", "ftp://server", "http://", "http://demo:secret@server"])
def test_an_address_that_is_none_or_holds_a_password_is_refused(url: str) -> None:
    with pytest.raises(AccessError, match="OVMS_API_URL") as raised:
        find_access({"OVMS_API_URL": url, "OVMS_API_TOKEN": TOKEN})
    assert "secret" not in str(raised.value)


def test_a_token_is_not_shown() -> None:
    assert TOKEN not in repr(Access("http://server", TOKEN))
