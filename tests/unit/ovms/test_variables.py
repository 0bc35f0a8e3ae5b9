"""A misspelt variable is an error that names the right one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import api_gateway.__main__
import car_protocol.__main__
from ovms.admin.cli import main
from ovms.variables import KNOWN, UnknownVariable, check_variables

WRONG = {"OVMS_HTP_PORT": "geheim"}
MESSAGE = "OVMS_HTP_PORT is not a setting: did you mean OVMS_HTTP_PORT?"


def test_all_that_is_known_is_accepted() -> None:
    check_variables([*KNOWN, "PATH", "OVMS_TEST_IMAGES", "OVMS_PORT_6867_TCP_ADDR", "OVMS_PORT", "OVMS_SERVICE_HOST"])


def test_every_unknown_name_is_explained() -> None:
    with pytest.raises(UnknownVariable) as caught:
        check_variables(["OVMS_HTP_PORT", "OVMS_QQQ", "OVMS_HOST", "HOME"])
    assert str(caught.value) == f"{MESSAGE}; OVMS_QQQ is not a setting: .env.example lists all settings"


@pytest.mark.parametrize("arguments", [("run",), ("owner", "list"), ("status",)], ids=" ".join)
def test_the_command_does_nothing_then(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments, WRONG, run_everything=lambda _: pytest.fail("it runs")) == 2
    assert capsys.readouterr().err == f"ovms: {MESSAGE}\n"


def test_neither_service_starts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in WRONG.items():
        monkeypatch.setenv(name, value)
    assert car_protocol.__main__.main() == 2
    assert capsys.readouterr().err == f"car-protocol: wrong settings: {MESSAGE}\n"
    assert api_gateway.__main__.main() == 2
    assert capsys.readouterr().err == f"api-gateway: wrong settings: {MESSAGE}\n"


def test_the_command_reads_the_file_of_the_directory_where_it_starts(tmp_path: Path) -> None:
    """The program itself: `make run` is this program."""
    (tmp_path / ".env").write_text("OVMS_HTP_PORT=1\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OVMS_")}
    command = [Path(sys.executable).with_name("ovms"), "run"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (2, f"ovms: {MESSAGE}\n")
