"""The `ovms` command on a real database."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures.command import Command, Outcome
from fixtures.servers import fetch
from ovms.admin.cli import main
from ovms.db.passwords import verify_password
from ovms.db.sealing import Sealer

DOCUMENT: dict[str, Any] = {
    "owners": [
        {"name": "Anna", "password": "geheim 1", "email": "a@example.com", "vehicles": [{"id": "EV1", "password": "NETPASS1"}]},
        {"name": "Bob", "password": "hunter22"},
    ]
}

NO_CONFIGURATION = "; autoprovision: 0 added, 0 changed, 0 unchanged"


def changed(**changes: Any) -> dict[str, Any]:
    return {"owners": [DOCUMENT["owners"][0] | changes, DOCUMENT["owners"][1]]}


def everything(database_url: str) -> list[tuple[object, ...]]:
    tables = ("SELECT * FROM owners ORDER BY id", "SELECT * FROM vehicles ORDER BY id")
    return [tuple(row) for statement in tables for row in fetch(database_url, statement)]


def test_provisioning_again_changes_nothing(provision: Callable[[object], Outcome], database_url: str) -> None:
    assert provision(DOCUMENT) == (
        0,
        f"owners: 2 added, 0 changed, 0 unchanged; vehicles: 1 added, 0 changed, 0 unchanged{NO_CONFIGURATION}\n",
        "",
    )
    before = everything(database_url)

    assert provision(DOCUMENT)[1] == (
        f"owners: 0 added, 0 changed, 2 unchanged; vehicles: 0 added, 0 changed, 1 unchanged{NO_CONFIGURATION}\n"
    )
    assert everything(database_url) == before


def test_passwords_are_kept_hashed_and_sealed(
    provision: Callable[[object], Outcome], database_url: str, secret_keys: str
) -> None:
    provision(DOCUMENT)
    [row] = fetch(database_url, "SELECT * FROM owners JOIN vehicles ON owner_id = owners.id")
    assert verify_password(row["password_hash"], "geheim 1")
    sealer = Sealer.from_setting(secret_keys)
    assert sealer.open(row["password_key_id"], row["password"], context="EV1") == b"NETPASS1"


@pytest.mark.parametrize(
    ("changes", "summary"),
    [
        ({"email": "b@example.com"}, "owners: 0 added, 1 changed, 1 unchanged; vehicles: 0 added, 0 changed, 1 unchanged"),
        ({"password": "neu neu neu"}, "owners: 0 added, 1 changed, 1 unchanged; vehicles: 0 added, 0 changed, 1 unchanged"),
        ({"name": "ANNA"}, "owners: 0 added, 0 changed, 2 unchanged; vehicles: 0 added, 0 changed, 1 unchanged"),
        (
            {"vehicles": [{"id": "ev1", "password": "NEWPASS1"}]},
            "owners: 0 added, 0 changed, 2 unchanged; vehicles: 0 added, 1 changed, 0 unchanged",
        ),
        ({"vehicles": []}, "owners: 0 added, 0 changed, 2 unchanged; vehicles: 0 added, 0 changed, 0 unchanged"),
    ],
)
def test_only_what_differs_is_changed(provision: Callable[[object], Outcome], changes: dict[str, Any], summary: str) -> None:
    provision(DOCUMENT)
    assert provision(changed(**changes))[1] == f"{summary}{NO_CONFIGURATION}\n"
    assert provision(changed(**changes))[1].count(" 0 changed") == 3


def test_a_wrong_entry_is_one_line_and_nothing_is_changed(
    provision: Callable[[object], Outcome], database_url: str, tmp_path: Path
) -> None:
    status, out, err = provision(
        changed(vehicles=[{"id": "EV1", "password": "eight or more"}, {"id": "a b", "password": "eight or more"}])
    )
    assert (status, out) == (2, "")
    assert err.startswith(f"ovms: {tmp_path}/cars.json: owners[0].vehicles[1]: vehicle id 'a b': ")
    assert err.count("\n") == 1
    assert everything(database_url) == []


def test_a_vehicle_of_another_owner_undoes_all_that_was_done_before_it(
    provision: Callable[[object], Outcome], database_url: str, tmp_path: Path
) -> None:
    provision(DOCUMENT)
    before = everything(database_url)
    carol = {"name": "carol", "password": "eight or more", "vehicles": [{"id": "ev1", "password": "eight or more"}]}

    status, out, err = provision({"owners": [carol]})

    assert (status, out) == (2, "")
    assert err == (
        f"ovms: {tmp_path}/cars.json: owners[0].vehicles[0]: vehicle id 'ev1': the vehicle belongs to owner 'Anna'\n"
    )
    assert everything(database_url) == before


def test_a_new_vehicle_gets_an_id_that_a_module_accepts_and_an_imported_one_keeps_its_id(
    provision: Callable[[object], Outcome], database_url: str, tmp_path: Path
) -> None:
    provision(DOCUMENT)
    imported = changed(vehicles=[{"id": "OLD_CAR.1", "password": "NETPASS2"}])
    status, _, err = provision(imported)
    assert (status, err.count("\n")) == (2, 1)
    assert err.startswith(f"ovms: {tmp_path}/cars.json: owners[0].vehicles[0]: vehicle id 'OLD_CAR.1': 1 to 32 ASCII letters")
    fetch(database_url, "UPDATE vehicles SET vehicle_id = 'OLD_CAR.1' RETURNING id")
    assert provision(imported)[1].endswith(f"vehicles: 0 added, 1 changed, 0 unchanged{NO_CONFIGURATION}\n")


def test_owners_are_added_listed_changed_and_removed(ovms: Command, database_url: str) -> None:
    assert ovms("owner", "add", "Anna", "--email", "a@example.com", typed="geheim 1\n") == (0, "owner Anna added\n", "")
    assert ovms("owner", "add", "anna", typed="eight or more\n") == (1, "", "ovms: an owner is already called 'Anna'\n")
    assert ovms("owner", "list")[1] == "Anna\ta@example.com\t0 vehicles\n"

    assert ovms("owner", "password", "ANNA", typed="neu neu neu")[0] == 0
    [row] = fetch(database_url, "SELECT * FROM owners")
    assert verify_password(row["password_hash"], "neu neu neu")
    assert row["email"] == "a@example.com"

    assert ovms("owner", "remove", "anna", "--yes")[0] == 0
    assert ovms("owner", "list")[1] == ""
    assert ovms("owner", "remove", "anna", "--yes") == (1, "", "ovms: no owner is called 'anna'\n")


def test_a_password_must_be_given(ovms: Command) -> None:
    assert ovms("owner", "add", "Anna", typed="\n") == (2, "", "ovms: no password of owner Anna on standard input\n")
    assert ovms("owner", "add", " Anna", typed="eight or more\n")[0] == 2


def test_vehicles_are_added_listed_and_changed(ovms: Command, database_url: str, secret_keys: str) -> None:
    ovms("owner", "add", "Anna", typed="eight or more")
    assert ovms("vehicle", "add", "EV1", "--owner", "anna", typed="NETPASS1\n") == (0, "vehicle EV1 of owner Anna added\n", "")
    assert ovms("vehicle", "add", "ev1", "--owner", "anna", typed="NETPASS1\n")[0] == 1
    for rejected in ("e v", "E_V", "E.V", "-"):
        assert ovms("vehicle", "add", "--owner", "anna", "--", rejected, typed="NETPASS1\n")[0] == 2
    assert ovms("vehicle", "add", "EV2", "--owner", "nobody", typed="NETPASS1\n")[0] == 1
    assert ovms("vehicle", "list")[1] == ovms("vehicle", "list", "--owner", "ANNA")[1] == "EV1\tAnna\n"

    assert ovms("vehicle", "password", "ev1", typed="NEWPASS1\n")[0] == 0
    [row] = fetch(database_url, "SELECT * FROM vehicles")
    assert Sealer.from_setting(secret_keys).open(row["password_key_id"], row["password"], context="EV1") == b"NEWPASS1"


@pytest.mark.parametrize("removal", [("vehicle", "remove", "ev1", "--yes"), ("owner", "remove", "anna", "--yes")])
def test_a_removed_vehicle_leaves_nothing_it_sent(
    provision: Callable[[object], Outcome], ovms: Command, database_url: str, removal: tuple[str, ...]
) -> None:
    provision(DOCUMENT)
    fetch(
        database_url,
        "INSERT INTO messages (vehicle, code, data, received_at, epoch) SELECT id, 'S', 'x', now(), 1 FROM vehicles",
    )
    fetch(database_url, "INSERT INTO history SELECT id, 'X', 1, now(), 'x', now() FROM vehicles")
    fetch(database_url, "INSERT INTO samples SELECT id, 'L', now(), 'x', now() FROM vehicles")
    fetch(database_url, "INSERT INTO state_history SELECT id, 'L', now(), 'x' FROM vehicles")

    assert ovms(*removal)[0] == 0

    for table in ("messages", "history", "samples", "state_history", "vehicles"):
        assert fetch(database_url, f"SELECT * FROM {table}") == []
    assert ovms(*removal)[0] == 1


def test_a_token_is_shown_once_and_removed_by_its_identifier(ovms: Command) -> None:
    ovms("owner", "add", "Anna", typed="eight or more")
    status, token, _ = ovms("token", "add", "anna", "--application", "app", "--purpose", "test", "--permit", "read,v2")
    assert status == 0
    assert len(token.strip()) == 64

    listed = ovms("token", "list", "anna")[1]
    identifier, application, purpose, permit, *_ = listed.split("\t")
    assert token.strip() not in listed
    assert (application, purpose, permit) == ("app", "test", "read,v2")

    assert ovms("token", "remove", "anna", identifier, "--yes") == (0, "token removed\n", "")
    assert ovms("token", "remove", "anna", identifier, "--yes") == (1, "", "ovms: owner Anna has no such token\n")
    assert ovms("token", "add", "nobody")[0] == 1


def test_a_database_without_tables_is_one_line(ovms: Command, empty_database_url: str) -> None:
    expected = "ovms: the database has no tables yet: run `ovms migrate`\n"
    assert ovms("owner", "list", OVMS_DATABASE_URL=empty_database_url) == (1, "", expected)
    assert ovms("token", "list", "anna", OVMS_DATABASE_URL=empty_database_url) == (1, "", expected)
    assert ovms("migrate", OVMS_DATABASE_URL=empty_database_url)[0] == 0
    assert ovms("owner", "list", OVMS_DATABASE_URL=empty_database_url) == (0, "", "")


def test_a_service_can_ask_whether_the_database_has_been_migrated(ovms: Command, empty_database_url: str) -> None:
    expected = "ovms: the database has not been migrated to this version yet: run `ovms migrate`\n"
    assert ovms("migrate", "--check", OVMS_DATABASE_URL=empty_database_url) == (1, "", expected)
    assert fetch(empty_database_url, "SELECT relname FROM pg_class WHERE relname = 'owners'") == []

    ovms("migrate", OVMS_DATABASE_URL=empty_database_url)
    assert ovms("migrate", "--check", OVMS_DATABASE_URL=empty_database_url)[0] == 0


@pytest.mark.parametrize(("revision", "status"), [("0001", 1), ("9999", 0)], ids=["older", "newer"])
def test_a_newer_database_has_what_this_version_needs(ovms: Command, database_url: str, revision: str, status: int) -> None:
    fetch(database_url, f"UPDATE alembic_version SET version_num = '{revision}'")
    assert ovms("migrate", "--check")[0] == status


def test_a_database_of_a_newer_version_is_not_migrated(ovms: Command, database_url: str) -> None:
    fetch(database_url, "UPDATE alembic_version SET version_num = '9999'")
    status, out, err = ovms("migrate")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("ovms: a newer version of this server has migrated the database")
    assert ovms("migrate", "--allow-newer")[0] == 0
    assert fetch(database_url, "SELECT version_num FROM alembic_version")[0]["version_num"] == "9999"


@pytest.mark.parametrize("url", ["postgresql://a:geheim@127.0.0.1:1/b", "postgresql://a:geheim@/b?host=/nonexistent"])
def test_a_database_that_is_away_is_one_line(ovms: Command, url: str) -> None:
    for arguments in (("owner", "list"), ("token", "list", "anna")):
        status, out, err = ovms(*arguments, OVMS_DATABASE_URL=url)
        assert (status, out, err.count("\n")) == (1, "", 1)
        assert err.startswith("ovms: database: ")
        assert "geheim" not in err


def test_wrong_or_missing_keys_are_one_line(ovms: Command) -> None:
    ovms("owner", "add", "Anna", typed="eight or more")
    for keys in ("", "k1:abc"):
        status, _, err = ovms("vehicle", "add", "EV1", "--owner", "anna", typed="eight or more", OVMS_SECRET_KEYS=keys)
        assert (status, err.count("\n")) == (1, 1)


NOTHING = {"OVMS_DATABASE_URL": "", "OVMS_SECRET_KEYS": ""}


def test_without_an_address_it_runs_the_database_of_the_data_directory(ovms: Command, tmp_path: Path) -> None:
    assert ovms("migrate", **NOTHING)[0] == 0
    assert ovms("owner", "add", "Anna", typed="eight or more", **NOTHING)[0] == 0
    assert ovms("vehicle", "add", "EV1", "--owner", "anna", typed="eight or more", **NOTHING)[0] == 0
    assert ovms("vehicle", "list", **NOTHING) == (0, "EV1\tAnna\n", "")
    assert not (tmp_path / "data/postgres/data/postmaster.pid").exists()


COMMANDS = [
    ("owner", "list"),
    ("owner", "add", "anna"),
    ("vehicle", "list"),
    ("token", "list", "anna"),
    ("autoprovision", "list"),
    ("rotate-key",),
    ("migrate", "--check"),
    ("vehicle", "alias", "EV1"),
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_command_never_creates_a_database(ovms: Command, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    status, out, err = ovms(*arguments, typed="eight or more\n", **NOTHING)
    assert (status, out) == (1, "")
    assert err == (
        f"ovms: {tmp_path}/data holds no database: name the data directory in OVMS_DATA_DIR or a database in "
        "OVMS_DATABASE_URL, or create one with `ovms run` or `ovms migrate`\n"
    )
    assert not (tmp_path / "data").exists()


# ---- the rules of the API


@pytest.mark.parametrize(
    ("arguments", "typed", "message"),
    [
        (("owner", "add", "short"), "x", "password of an owner: 8 to 256 characters of any kind"),
        (("owner", "add", "short"), "seven77", "password of an owner: 8 to 256 characters of any kind"),
        (("owner", "add", "short"), "x" * 257, "password of an owner: 8 to 256 characters of any kind"),
        (("owner", "add", " x"), "eight or more", "owner name ' x': 1 to 255 printable characters, no space at the ends"),
        (("owner", "add", "x", "--email", "nowhere"), "eight or more", "e-mail address 'nowhere': of the form name@host"),
        (("owner", "password", "anna"), "short", "password of an owner: 8 to 256 characters of any kind"),
        (("vehicle", "add", "EV2", "--owner", "anna"), "NETPASS", "password of a vehicle: 8 to 255 characters"),
        (("vehicle", "add", "EV2", "--owner", "anna"), "tab\tinside it", "password of a vehicle: 8 to 255 characters"),
        (("vehicle", "add", "E V", "--owner", "anna"), "eight or more", "vehicle id 'E V': "),
        (("vehicle", "password", "EV1"), "NETPASS", "password of a vehicle: 8 to 255 characters"),
        (("token", "add", "anna", "--permit", "fly"), "", "permit 'fly': no right is called 'fly'; rights are read, location"),
        (("token", "add", "anna", "--permit", "read,*"), "", "permit 'read,*': no right is called '*'"),
        (("token", "add", "anna", "--permit", ""), "", "permit '': no right is called ''"),
        (("token", "add", "anna", "--purpose", "a\0b"), "", "text 'a\\x00b': at most 255 characters"),
    ],
)
def test_what_the_api_rejects_the_command_rejects(
    provision: Callable[[object], Outcome],
    ovms: Command,
    database_url: str,
    arguments: tuple[str, ...],
    typed: str,
    message: str,
) -> None:
    provision(DOCUMENT)
    before = everything(database_url)
    status, out, err = ovms(*arguments, typed=f"{typed}\n")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"ovms: {message}")
    assert everything(database_url) == before
    assert fetch(database_url, "SELECT * FROM api_tokens") == []


def test_a_file_lists_passwords_as_modules_have_them(provision: Callable[[object], Outcome]) -> None:
    assert provision(changed(password="kurz", vehicles=[{"id": "EV2", "password": "NETPASS"}]))[0] == 0


# ---- removals


REMOVALS = [
    ("owner", "remove", "anna"),
    ("vehicle", "remove", "EV1"),
    ("token", "remove", "anna", "0123456789abcdef"),
    ("autoprovision", "remove", "VIN1"),
]


@pytest.mark.parametrize("arguments", REMOVALS, ids=" ".join)
def test_a_removal_that_nobody_can_confirm_needs_yes(
    provision: Callable[[object], Outcome], ovms: Command, database_url: str, arguments: tuple[str, ...]
) -> None:
    provision(DOCUMENT)
    before = everything(database_url)
    status, out, err = ovms(*arguments, typed="y\n")
    assert (status, out) == (2, "")
    assert err.startswith("ovms: standard input is not a terminal, so nobody can confirm the removal of ")
    assert err.endswith(": add --yes\n")
    assert everything(database_url) == before


@pytest.mark.parametrize(("answer", "left"), [("", 1), ("n", 1), ("yes", 0), ("Y", 0)])
def test_a_removal_asks_on_a_terminal(
    provision: Callable[[object], Outcome],
    database_url: str,
    secret_keys: str,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    left: int,
) -> None:
    provision(DOCUMENT)
    questions: list[str] = []
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    monkeypatch.setattr("builtins.input", lambda question: questions.append(question) or answer)
    environment = {"OVMS_DATABASE_URL": database_url, "OVMS_SECRET_KEYS": secret_keys}

    assert main(["vehicle", "remove", "EV1"], environment) == (1 if left else 0)

    assert questions == ["Remove vehicle EV1, with all that it sent? This cannot be undone. [y/N] "]
    assert len(fetch(database_url, "SELECT * FROM vehicles")) == left
