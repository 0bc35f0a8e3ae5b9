"""The `ovms` command on a real database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures.command import Command, Outcome
from fixtures.servers import fetch
from ovms.db.passwords import verify_password
from ovms.db.sealing import Sealer

DOCUMENT: dict[str, Any] = {
    "owners": [
        {"name": "Anna", "password": "geheim", "email": "a@example.com", "vehicles": [{"id": "EV1", "password": "NET"}]},
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
    assert verify_password(row["password_hash"], "geheim")
    sealer = Sealer.from_setting(secret_keys)
    assert sealer.open(row["password_key_id"], row["password"], context="EV1") == b"NET"


@pytest.mark.parametrize(
    ("changes", "summary"),
    [
        ({"email": "b@example.com"}, "owners: 0 added, 1 changed, 1 unchanged; vehicles: 0 added, 0 changed, 1 unchanged"),
        ({"password": "neu"}, "owners: 0 added, 1 changed, 1 unchanged; vehicles: 0 added, 0 changed, 1 unchanged"),
        ({"name": "ANNA"}, "owners: 0 added, 0 changed, 2 unchanged; vehicles: 0 added, 0 changed, 1 unchanged"),
        (
            {"vehicles": [{"id": "ev1", "password": "NEW"}]},
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
    status, out, err = provision(changed(vehicles=[{"id": "EV1", "password": "x"}, {"id": "a b", "password": "x"}]))
    assert (status, out) == (2, "")
    assert err.startswith(f"ovms: {tmp_path}/cars.json: owners[0].vehicles[1]: vehicle id 'a b': ")
    assert err.count("\n") == 1
    assert everything(database_url) == []


def test_a_vehicle_of_another_owner_undoes_all_that_was_done_before_it(
    provision: Callable[[object], Outcome], database_url: str, tmp_path: Path
) -> None:
    provision(DOCUMENT)
    before = everything(database_url)
    carol = {"name": "carol", "password": "x", "vehicles": [{"id": "ev1", "password": "x"}]}

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
    imported = changed(vehicles=[{"id": "OLD_CAR.1", "password": "NET"}])
    status, _, err = provision(imported)
    assert (status, err.count("\n")) == (2, 1)
    assert err.startswith(f"ovms: {tmp_path}/cars.json: owners[0].vehicles[0]: vehicle id 'OLD_CAR.1': 1 to 32 ASCII letters")
    fetch(database_url, "UPDATE vehicles SET vehicle_id = 'OLD_CAR.1' RETURNING id")
    assert provision(imported)[1].endswith(f"vehicles: 0 added, 1 changed, 0 unchanged{NO_CONFIGURATION}\n")


def test_owners_are_added_listed_changed_and_removed(ovms: Command, database_url: str) -> None:
    assert ovms("owner", "add", "Anna", "--email", "a@example.com", typed="geheim\n") == (0, "owner Anna added\n", "")
    assert ovms("owner", "add", "anna", typed="x\n") == (1, "", "ovms: an owner is already called 'Anna'\n")
    assert ovms("owner", "list")[1] == "Anna\ta@example.com\t0 vehicles\n"

    assert ovms("owner", "password", "ANNA", typed="neu")[0] == 0
    [row] = fetch(database_url, "SELECT * FROM owners")
    assert verify_password(row["password_hash"], "neu")
    assert row["email"] == "a@example.com"

    assert ovms("owner", "remove", "anna")[0] == 0
    assert ovms("owner", "list")[1] == ""
    assert ovms("owner", "remove", "anna") == (1, "", "ovms: no owner is called 'anna'\n")


def test_a_password_must_be_given(ovms: Command) -> None:
    assert ovms("owner", "add", "Anna", typed="\n") == (2, "", "ovms: no password of owner Anna on standard input\n")
    assert ovms("owner", "add", " Anna", typed="x\n")[0] == 2


def test_vehicles_are_added_listed_and_changed(ovms: Command, database_url: str, secret_keys: str) -> None:
    ovms("owner", "add", "Anna", typed="x")
    assert ovms("vehicle", "add", "EV1", "--owner", "anna", typed="NET\n") == (0, "vehicle EV1 of owner Anna added\n", "")
    assert ovms("vehicle", "add", "ev1", "--owner", "anna", typed="NET\n")[0] == 1
    for rejected in ("e v", "E_V", "E.V", "-"):
        assert ovms("vehicle", "add", "--owner", "anna", "--", rejected, typed="NET\n")[0] == 2
    assert ovms("vehicle", "add", "EV2", "--owner", "nobody", typed="NET\n")[0] == 1
    assert ovms("vehicle", "list")[1] == ovms("vehicle", "list", "--owner", "ANNA")[1] == "EV1\tAnna\n"

    assert ovms("vehicle", "password", "ev1", typed="NEW\n")[0] == 0
    [row] = fetch(database_url, "SELECT * FROM vehicles")
    assert Sealer.from_setting(secret_keys).open(row["password_key_id"], row["password"], context="EV1") == b"NEW"


@pytest.mark.parametrize("removal", [("vehicle", "remove", "ev1"), ("owner", "remove", "anna")])
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

    assert ovms(*removal)[0] == 0

    for table in ("messages", "history", "samples", "vehicles"):
        assert fetch(database_url, f"SELECT * FROM {table}") == []
    assert ovms(*removal)[0] == 1


def test_a_token_is_shown_once_and_removed_by_its_identifier(ovms: Command) -> None:
    ovms("owner", "add", "Anna", typed="x")
    status, token, _ = ovms("token", "add", "anna", "--application", "app", "--purpose", "test", "--permit", "vehicles")
    assert status == 0
    assert len(token.strip()) == 64

    listed = ovms("token", "list", "anna")[1]
    identifier, application, purpose, permit, *_ = listed.split("\t")
    assert token.strip() not in listed
    assert (application, purpose, permit) == ("app", "test", "vehicles")

    assert ovms("token", "remove", "anna", identifier) == (0, "token removed\n", "")
    assert ovms("token", "remove", "anna", identifier) == (1, "", "ovms: owner Anna has no such token\n")
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


def test_a_newer_database_is_left_as_it_is(ovms: Command, database_url: str) -> None:
    fetch(database_url, "UPDATE alembic_version SET version_num = '9999'")
    assert ovms("migrate")[0] == 0
    assert fetch(database_url, "SELECT version_num FROM alembic_version")[0]["version_num"] == "9999"


@pytest.mark.parametrize("url", ["postgresql://a:geheim@127.0.0.1:1/b", "postgresql://a:geheim@/b?host=/nonexistent"])
def test_a_database_that_is_away_is_one_line(ovms: Command, url: str) -> None:
    for arguments in (("owner", "list"), ("token", "list", "anna")):
        status, out, err = ovms(*arguments, OVMS_DATABASE_URL=url)
        assert (status, out, err.count("\n")) == (1, "", 1)
        assert err.startswith("ovms: database: ")
        assert "geheim" not in err


def test_wrong_or_missing_keys_are_one_line(ovms: Command) -> None:
    ovms("owner", "add", "Anna", typed="x")
    for keys in ("", "k1:abc"):
        status, _, err = ovms("vehicle", "add", "EV1", "--owner", "anna", typed="x", OVMS_SECRET_KEYS=keys)
        assert (status, err.count("\n")) == (1, 1)


def test_without_an_address_it_runs_the_database_of_the_data_directory(ovms: Command, tmp_path: Path) -> None:
    nothing = {"OVMS_DATABASE_URL": "", "OVMS_SECRET_KEYS": ""}
    assert ovms("owner", "add", "Anna", typed="x", **nothing)[0] == 0
    assert ovms("vehicle", "add", "EV1", "--owner", "anna", typed="x", **nothing)[0] == 0
    assert ovms("vehicle", "list", **nothing) == (0, "EV1\tAnna\n", "")
    assert not (tmp_path / "data/postgres/data/postmaster.pid").exists()
