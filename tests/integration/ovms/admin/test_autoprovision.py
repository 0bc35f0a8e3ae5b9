"""Configurations for modules that ask for theirs: from a file, and one by one."""

from __future__ import annotations

import base64
import getpass
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures.command import Command, Outcome
from fixtures.servers import fetch
from ovms.admin.cli import main
from ovms.db.sealing import Sealer

Provision = Callable[[object], Outcome]

OWNERS = [{"name": "Anna", "password": "geheim 1"}, {"name": "Bob", "password": "hunter22"}]
SECRET = "8944000000000000001"
PARAMETERS = ["+4412345", "-", "NETPASS"]


def listing(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"owners": OWNERS, "autoprovision": list(entries)}


def entry(**changes: Any) -> dict[str, Any]:
    return {"key": "VIN1", "secret": SECRET, "owner": "anna", "parameters": PARAMETERS} | changes


def stored(database_url: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in fetch(database_url, "SELECT * FROM autoprovision ORDER BY key")]


def opened(database_url: str, keys: str) -> tuple[bytes, ...]:
    [row] = fetch(database_url, "SELECT * FROM autoprovision")
    sealer = Sealer.from_setting(keys)
    return tuple(sealer.open(row[f"{name}_key_id"], row[name], context=row["key"]) for name in ("secret", "record"))


def test_a_file_is_kept_sealed_and_again_changes_nothing(provision: Provision, database_url: str, secret_keys: str) -> None:
    status, out, err = provision(listing(entry()))
    assert (status, err) == (0, "")
    assert out.endswith("; autoprovision: 1 added, 0 changed, 0 unchanged\n")
    assert opened(database_url, secret_keys) == (SECRET.encode(), b"+4412345 - NETPASS")
    before = stored(database_url)
    assert not any(part in bytes(value) for value in before[0] if isinstance(value, bytes) for part in (b"8944", b"NETPASS"))

    assert provision(listing(entry()))[1].endswith("; autoprovision: 0 added, 0 changed, 1 unchanged\n")
    assert stored(database_url) == before


@pytest.mark.parametrize("changes", [{"secret": "8945"}, {"parameters": ["+4412345", "-", "NEWPASS"]}])
def test_what_differs_is_changed(provision: Provision, database_url: str, secret_keys: str, changes: dict[str, Any]) -> None:
    provision(listing(entry()))
    assert provision(listing(entry(**changes)))[1].endswith("; autoprovision: 0 added, 1 changed, 0 unchanged\n")
    secret, record = opened(database_url, secret_keys)
    assert secret == changes.get("secret", SECRET).encode()
    assert record == " ".join(changes.get("parameters", PARAMETERS)).encode()


def test_one_sealed_under_a_key_that_is_gone_is_made_anew(provision: Provision, ovms: Command, tmp_path: Path) -> None:
    provision(listing(entry()))
    keys = f"new:{base64.b64encode(bytes(32)).decode()}"
    assert ovms("provision", str(tmp_path / "cars.json"), OVMS_SECRET_KEYS=keys)[1].endswith("1 changed, 0 unchanged\n")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (entry(key="VIN2", owner="carol"), "autoprovision[1]: no owner is called 'carol'"),
        (entry(key="VIN2", owner="carol\u00fc"), "autoprovision[1]: no owner is called 'carolü'"),
        (entry(key="KEPT"), "autoprovision[1]: key 'KEPT': the configuration belongs to owner 'Bob'"),
    ],
)
def test_a_wrong_entry_undoes_all_before_it(
    provision: Provision, database_url: str, tmp_path: Path, wrong: dict[str, Any], message: str
) -> None:
    provision(listing(entry(key="KEPT", owner="Bob")))
    before = stored(database_url)

    assert provision(listing(entry(), wrong)) == (2, "", f"ovms: {tmp_path}/cars.json: {message}\n")

    assert stored(database_url) == before


def test_configurations_are_added_listed_and_removed(ovms: Command, database_url: str, secret_keys: str) -> None:
    ovms("owner", "add", "Anna", typed="eight or more")
    typed = f"{SECRET}\r\n{' '.join(PARAMETERS)}\r\n"
    add = ("autoprovision", "add", "VIN1", "--owner", "anna")

    assert ovms(*add, typed=typed) == (0, "configuration VIN1 of owner Anna added\n", "")
    assert ovms(*add, typed=typed) == (1, "", "ovms: a configuration already has the key 'VIN1'\n")
    assert ovms("autoprovision", "list") == (0, "VIN1\tAnna\n", "")
    assert opened(database_url, secret_keys) == (SECRET.encode(), b"+4412345 - NETPASS")

    assert ovms("autoprovision", "remove", "VIN1", "--yes") == (0, "configuration VIN1 removed\n", "")
    assert ovms("autoprovision", "remove", "VIN1", "--yes") == (1, "", "ovms: no configuration has the key 'VIN1'\n")
    assert stored(database_url) == []


@pytest.mark.parametrize(
    ("key", "typed", "message"),
    [
        ("VIN1", "", "no secret of VIN1 on standard input"),
        ("VIN1", "8944\n\n", "no parameters of VIN1 on standard input"),
        ("VIN1", "8944\na  b\n", "parameters[1]: empty, or with a blank or a character that is not printable"),
        ("VIN1", "8944\na\tb\n", "parameters[0]: empty, or with a blank or a character that is not printable"),
        ("VIN1", "89\t44\na\n", "secret is empty or holds a character that is not printable"),
        ("VIN 1", "8944\na\n", "key 'VIN 1': 1 to 64 printable characters without blanks"),
    ],
)
def test_bad_input_is_one_line(ovms: Command, database_url: str, key: str, typed: str, message: str) -> None:
    ovms("owner", "add", "anna", typed="eight or more")
    assert ovms("autoprovision", "add", key, "--owner", "anna", typed=typed) == (2, "", f"ovms: {message}\n")
    assert stored(database_url) == []


def test_an_owner_must_be_there(ovms: Command) -> None:
    answer = ovms("autoprovision", "add", "VIN1", "--owner", "anna", typed="8944\na\n")
    assert answer == (1, "", "ovms: no owner is called 'anna'\n")


def test_neither_secret_nor_parameters_are_arguments() -> None:
    for more in (["8944"], ["--secret", "8944"], ["--parameters", "a b"]):
        with pytest.raises(SystemExit):
            main(["autoprovision", "add", "VIN1", "--owner", "anna", *more], {})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_at_a_terminal_both_are_asked_for_without_an_echo(
    database_url: str, secret_keys: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {"OVMS_DATABASE_URL": database_url, "OVMS_SECRET_KEYS": secret_keys}
    fetch(database_url, "INSERT INTO owners (name, password_hash) VALUES ('anna', '')")
    answers = iter([SECRET, SECRET, "a b", "a b", SECRET, "x"])
    prompts = []

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        return next(answers)

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(getpass, "getpass", ask)
    assert main(["autoprovision", "add", "VIN1", "--owner", "anna"], environment) == 0
    assert prompts == ["Secret of VIN1: ", "Once more: ", "Parameters of VIN1: ", "Once more: "]
    assert main(["autoprovision", "add", "VIN2", "--owner", "anna"], environment) == 2
    assert capsys.readouterr().err == "ovms: the two differ\n"
