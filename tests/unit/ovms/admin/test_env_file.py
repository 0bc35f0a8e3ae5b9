"""`.env` is read as python-dotenv reads it, and the environment wins."""

from pathlib import Path

import pytest

from ovms.admin.env_file import with_env_file
from ovms.admin.errors import InputError


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".env"


def test_without_a_file_nothing_is_added(env_file: Path) -> None:
    assert not env_file.exists()
    assert with_env_file({"OVMS_HOST": "::1"}) == {"OVMS_HOST": "::1"}


def test_the_environment_wins_over_the_file(env_file: Path) -> None:
    env_file.write_text(
        "# a comment\n\nexport OVMS_HOST=0.0.0.0\nOVMS_HTTP_PORT = 1 # ours\n"
        "OVMS_MAIL_PASSWORD='a # b'\nOVMS_MAIL_FROM=\"two words\"\nOVMS_TLS_KEY=\nPOSTGRES_PASSWORD=x\n"
    )
    assert with_env_file({"OVMS_HOST": "::1", "PATH": "/bin"}) == {
        "OVMS_HOST": "::1",
        "OVMS_HTTP_PORT": "1",
        "OVMS_MAIL_PASSWORD": "a # b",
        "OVMS_MAIL_FROM": "two words",
        "OVMS_TLS_KEY": "",
        "PATH": "/bin",
    }


def test_another_file_may_be_named_or_none(env_file: Path, tmp_path: Path) -> None:
    env_file.write_text("OVMS_HOST=::1")
    other = tmp_path / "other"
    other.write_text("OVMS_HOST=::2")
    assert with_env_file({"OVMS_ENV_FILE": str(other)})["OVMS_HOST"] == "::2"
    assert with_env_file({"OVMS_ENV_FILE": ""}) == {"OVMS_ENV_FILE": ""}
    with pytest.raises(InputError, match="there is no such file"):
        with_env_file({"OVMS_ENV_FILE": "nowhere"})


@pytest.mark.parametrize("line", ["OVMS_HOST", "=x", "OVMS_HOST='half"])
def test_a_line_that_sets_nothing_is_named(env_file: Path, line: str) -> None:
    env_file.write_text(f"# first\n{line}\n")
    with pytest.raises(InputError, match=r"^\.env, line 2: not of the form NAME=VALUE$"):
        with_env_file({})


def test_a_file_that_cannot_be_read_is_an_error(env_file: Path) -> None:
    env_file.write_bytes(b"OVMS_HOST=\xff")
    with pytest.raises(InputError, match=r"^\.env: cannot be read: not UTF-8$"):
        with_env_file({})
    env_file.unlink()
    env_file.mkdir()
    with pytest.raises(InputError, match=r"^\.env: cannot be read: "):
        with_env_file({})
