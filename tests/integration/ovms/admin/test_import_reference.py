"""What is brought from a reference server: a real MariaDB with the reference's tables, and in them what fleets have there."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from fixtures.command import Command
from fixtures.mariadb import DATABASE, MariaDB
from fixtures.servers import fetch
from ovms.admin.reference import work
from ovms.admin.reference.progress import Progress
from ovms.admin.reference.report import Report
from ovms.admin.reference.work import Import
from ovms.db.passwords import verify_password
from ovms.db.reference import source as source_module
from ovms.db.reference.address import read_address
from ovms.db.reference.source import Row, Source, SourceError, SourceTable
from ovms.db.sealing import Sealer

# Of "password" and of "rasmuslerdorf", see tests/unit/ovms/db/test_drupal.py.
PHPASS = "$S$CFURCPa.k6FAEbJPgejaW4nijv7rYgGc4dUJtChQtV4KLJTPTC/u"
BCRYPT = "$2y$07$BCryptRequires22Chrcte/VlQH0piJtjXl.0t1XkA8pw9dMXTpOq"
TOKEN = "0123456789abcdef" * 4
THEN, LATER, NEVER = "2026-01-02 03:04:05", "2150-01-01 00:00:00", "0000-00-00 00:00:00"


def add_owner(mariadb: MariaDB, number: int, name: str, *, status: int = 1, password: str = PHPASS, **more: object) -> None:
    mariadb.add("owners", **{"owner": number, "name": name, "status": status, "pass": password, **more})


def add_car(mariadb: MariaDB, owner: int, vehicle_id: str, *, password: str = "NETPASS", **more: object) -> None:
    mariadb.add("cars", owner=owner, vehicleid=vehicle_id, carpass=password, **more)


def add_message(mariadb: MariaDB, owner: int, vehicle_id: str, message: str, at: str = THEN, **more: object) -> None:
    mariadb.add("carmessages", owner=owner, vehicleid=vehicle_id, m_code=message[:1], m_msg=message[1:], m_msgtime=at, **more)


def add_record(
    mariadb: MariaDB, owner: int, vehicle_id: str, kind: str, number: int, data: str | bytes, at: str = THEN, until: str = LATER
) -> None:
    mariadb.add(
        "historicalmessages",
        owner=owner,
        vehicleid=vehicle_id,
        h_recordtype=kind,
        h_recordnumber=number,
        h_data=data,
        h_timestamp=at,
        h_expires=until,
    )


def add_subscription(mariadb: MariaDB, app: str, kind: str, key: str, **more: object) -> None:
    mariadb.add("notifies", owner=1, vehicleid="CAR1", appid=app, pushtype=kind, pushkeyvalue=key, **more)


def rows(database_url: str, statement: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in fetch(database_url, statement)]


def passwords(database_url: str, keys: str) -> dict[str, bytes]:
    sealer = Sealer.from_setting(keys)
    return {
        row["vehicle_id"]: sealer.open(row["password_key_id"], row["password"], context=row["vehicle_id"].upper())
        for row in fetch(database_url, "SELECT * FROM vehicles")
    }


@pytest.fixture
def fleet(mariadb: MariaDB) -> MariaDB:
    """An owner with a car, and something of each kind."""
    add_owner(mariadb, 1, "Ann", mail="ann@example.com")
    add_car(mariadb, 1, "CAR1", v_ptoken="ptoken")
    add_message(mariadb, 1, "car1", "S80,K,0,0,charging")
    add_record(mariadb, 1, "Car1", "*-LOG", 1, "a,b")
    mariadb.add("apitokens", owner=1, token=TOKEN, application="app", permit="auth,v2", created=THEN, refreshed=NEVER)
    add_subscription(mariadb, "phone", "gcm", "key-1", lastupdated=THEN)
    mariadb.add("autoprovision", ap_key="VIN1", ap_stoken="t" * 22, ap_sdigest="d" * 22, ap_msg="cmVjb3Jk", owner=1)
    return mariadb


def bring(ovms: Command, mariadb: MariaDB, *options: str) -> list[str]:
    status, out, err = ovms("import-reference", *options, OVMS_REFERENCE_URL=mariadb.url)
    assert (status, err) == (0, "")
    return out.splitlines()


def test_each_kind_is_brought(ovms: Command, fleet: MariaDB, database_url: str, secret_keys: str) -> None:
    lines = bring(ovms, fleet)
    assert lines == [
        f"{kind}: 1 taken, 0 here already, 0 left out"
        for kind in ("owners", "vehicles", "messages", "history", "tokens", "subscriptions", "configurations")
    ]
    assert rows(database_url, "SELECT name, email, password_hash FROM owners") == [("Ann", "ann@example.com", PHPASS)]
    assert passwords(database_url, secret_keys) == {"CAR1": b"NETPASS"}
    assert rows(database_url, "SELECT paranoid_token FROM vehicles") == [("ptoken",)]
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert rows(database_url, "SELECT code, data, received_at, epoch, paranoid, valid FROM messages") == [
        ("S", b"80,K,0,0,charging", moment, 0, False, True)
    ]
    assert rows(database_url, "SELECT record_type, record_number, recorded_at, data, expires_at, ack_code FROM history") == [
        ("*-LOG", 1, moment, b"a,b", datetime(2150, 1, 1, tzinfo=UTC), None)
    ]
    [(sha256, application, permit, created_at, refreshed_at)] = rows(
        database_url, "SELECT sha256, application, permit, created_at, refreshed_at FROM api_tokens"
    )
    assert (sha256, application, permit) == (hashlib.sha256(TOKEN.encode()).digest(), "app", "auth,v2")
    assert created_at == moment < refreshed_at
    assert rows(database_url, "SELECT app_id, push_type, key, updated_at FROM push_subscriptions") == [
        ("phone", "gcm", "key-1", moment)
    ]
    assert rows(database_url, "SELECT key, owner_id IS NOT NULL, token, digest, record FROM enciphered_configurations") == [
        ("VIN1", True, "t" * 22, "d" * 22, "cmVjb3Jk")
    ]


def test_again_changes_nothing(ovms: Command, fleet: MariaDB, database_url: str) -> None:
    tables = ("owners", "vehicles", "messages", "history", "api_tokens", "push_subscriptions", "enciphered_configurations")

    def everything() -> list[Any]:
        return [rows(database_url, f"SELECT * FROM {table}") for table in tables]

    bring(ovms, fleet)
    before = everything()
    assert all(line.endswith(": 0 taken, 1 here already, 0 left out") for line in bring(ovms, fleet))
    assert everything() == before


def test_a_trial_keeps_nothing_and_says_the_same(ovms: Command, fleet: MariaDB, database_url: str) -> None:
    *lines, last = bring(ovms, fleet, "--dry-run")
    assert last == "this was a trial: nothing of it was kept"
    for table in ("owners", "vehicles", "messages", "history", "api_tokens", "push_subscriptions", "reference_owners"):
        assert rows(database_url, f"SELECT count(*) FROM {table}") == [(0,)], table
    assert lines == bring(ovms, fleet)


def test_what_has_become_newer_there_is_brought_until_it_is_used_here(
    ovms: Command, fleet: MariaDB, database_url: str, secret_keys: str
) -> None:
    bring(ovms, fleet)
    fleet.run(f"UPDATE {DATABASE}.ovms_owners SET pass = %s, mail = 'new@example.com'", [BCRYPT])
    fleet.run(f"UPDATE {DATABASE}.ovms_cars SET carpass = 'CHANGED'")
    fleet.run(f"UPDATE {DATABASE}.ovms_carmessages SET m_msg = '81', m_msgtime = '2026-01-02 03:04:06'")
    fleet.run(f"UPDATE {DATABASE}.ovms_notifies SET pushkeyvalue = 'key-2', lastupdated = '2026-01-02 03:04:06'")
    add_record(fleet, 1, "CAR1", "*-LOG", 0, "earlier in order")
    bring(ovms, fleet)
    assert rows(database_url, "SELECT email, password_hash FROM owners") == [("new@example.com", BCRYPT)]
    assert passwords(database_url, secret_keys) == {"CAR1": b"CHANGED"}
    assert rows(database_url, "SELECT data FROM messages") == [(b"81",)]
    assert rows(database_url, "SELECT key FROM push_subscriptions") == [("key-2",)]
    assert rows(database_url, "SELECT record_number FROM history ORDER BY record_number") == [(0,), (1,)]

    fetch(database_url, "UPDATE owners SET password_hash = '$argon2id$here'")
    fetch(database_url, "UPDATE messages SET epoch = 7, data = 'said here'")
    fleet.run(f"UPDATE {DATABASE}.ovms_owners SET pass = %s, mail = 'late@example.com'", [PHPASS])
    fleet.run(f"UPDATE {DATABASE}.ovms_cars SET carpass = 'TOO LATE'")
    fleet.run(f"UPDATE {DATABASE}.ovms_carmessages SET m_msg = '82', m_msgtime = '2149-01-02 03:04:06'")
    bring(ovms, fleet)
    assert rows(database_url, "SELECT email, password_hash FROM owners") == [("new@example.com", "$argon2id$here")]
    assert passwords(database_url, secret_keys) == {"CAR1": b"CHANGED"}
    assert rows(database_url, "SELECT data FROM messages") == [(b"said here",)]


def test_who_cannot_be_here_is_left_out_with_all_that_is_his(ovms: Command, fleet: MariaDB, database_url: str) -> None:
    add_owner(fleet, 2, "")
    add_owner(fleet, 3, "Blocked", status=0)
    add_owner(fleet, 4, "Gone", deleted=1)
    add_owner(fleet, 5, "ANN")
    add_owner(fleet, 6, " spaced")
    add_owner(fleet, 7, "md5", password="5f4dcc3b5aa765d61d8327deb882cf99")
    add_owner(fleet, 8, "slow", password=PHPASS.replace("$S$C", "$S$z"))
    add_car(fleet, 3, "CAR3")
    add_message(fleet, 3, "CAR3", "S1")
    add_record(fleet, 3, "CAR3", "*-LOG", 1, "x")
    mariadb_token = hashlib.sha256(b"another").hexdigest()
    fleet.add("apitokens", owner=3, token=mariadb_token)
    lines = bring(ovms, fleet)
    assert lines[:5] == [
        "owners: 3 taken, 0 here already, 5 left out",
        "vehicles: 1 taken, 0 here already, 1 left out",
        "messages: 1 taken, 0 here already, 1 left out",
        "history: 1 taken, 0 here already, 1 left out",
        "tokens: 1 taken, 0 here already, 1 left out",
    ]
    assert lines[7:] == [
        "left out: 1 of owners, without a name (owner 2)",
        "left out: 1 of owners, blocked there (owner 3)",
        "left out: 1 of owners, deleted there (owner 4)",
        "left out: 1 of owners, an owner here has the name already, or another one there in other letters (owner 5)",
        "left out: 1 of owners, a name that no owner can have here (owner 6)",
        "left out: 1 of vehicles, its owner is left out (owner 3: 'CAR3')",
        "left out: 1 of messages, its vehicle is left out (owner 3: 'CAR3')",
        "left out: 1 of history, its vehicle is left out",
        "left out: 1 of tokens, its owner is left out (owner 3)",
        "to do: 2 of owners, without a password that can be checked: give one with `ovms owner password` (md5, slow)",
    ]
    for name, known in (("md5", "5f4dcc3b5aa765d61d8327deb882cf99"), ("slow", "password")):
        [(hashed,)] = rows(database_url, f"SELECT password_hash FROM owners WHERE name = '{name}'")
        assert hashed.startswith("$argon2id$")
        assert not verify_password(hashed, known)


def test_who_is_here_already_is_somebody_else(ovms: Command, fleet: MariaDB, database_url: str) -> None:
    ovms("owner", "add", "ann", typed="from here\n")
    assert bring(ovms, fleet)[1] == "vehicles: 0 taken, 0 here already, 1 left out"
    ovms("owner", "remove", "ann", "--yes")
    bring(ovms, fleet)
    fleet.run(f"UPDATE {DATABASE}.ovms_owners SET name = 'Eve'")
    assert "left out: 1 of owners, taken before under another name (owner 1)" in bring(ovms, fleet)
    assert rows(database_url, "SELECT name FROM owners") == [("Ann",)]


def test_passwords_that_are_stored_as_they_are_are_hashed(ovms: Command, fleet: MariaDB, database_url: str) -> None:
    add_owner(fleet, 2, "Bob", password="hunter22")
    add_owner(fleet, 3, "Nobody", password="")
    assert bring(ovms, fleet, "--plain-passwords")[-1].endswith("(Nobody)")
    [(ann,), (bob,), (nobody,)] = rows(database_url, "SELECT password_hash FROM owners ORDER BY id")
    assert ann == PHPASS
    assert bob.startswith("$argon2id$")
    assert verify_password(bob, "hunter22")
    assert not verify_password(nobody, "")


def test_of_two_cars_of_one_id_the_one_that_was_heard_last_is_brought(
    ovms: Command, fleet: MariaDB, database_url: str, secret_keys: str
) -> None:
    add_owner(fleet, 2, "Bob")
    add_car(fleet, 2, "car1", password="BOB'S", v_lastupdate=THEN)
    add_car(fleet, 2, "b d", v_lastupdate=THEN)
    add_car(fleet, 2, "Sold", deleted=1)
    add_car(fleet, 2, "Open", password="")
    add_message(fleet, 2, "car1", "SBOB'S")
    lines = bring(ovms, fleet)
    assert passwords(database_url, secret_keys) == {"car1": b"BOB'S"}
    assert rows(database_url, "SELECT data FROM messages") == [(b"BOB'S",)]
    assert {line for line in lines if " of vehicles, " in line} == {
        "left out: 1 of vehicles, an id that no vehicle can have here (owner 2: 'b d')",
        "left out: 1 of vehicles, another owner has a vehicle of this id (owner 1: 'CAR1')",
        "left out: 1 of vehicles, without a password (owner 2: 'Open')",
        "left out: 1 of vehicles, deleted there (owner 2: 'Sold')",
    }


def test_awkward_messages_and_records(ovms: Command, fleet: MariaDB, database_url: str) -> None:
    fleet.run(f"ALTER TABLE {DATABASE}.ovms_historicalmessages MODIFY h_data blob NOT NULL")
    add_message(fleet, 1, "CAR1", "D sealed", m_paranoid=1, m_ptoken="ptoken")
    add_message(fleet, 1, "CAR1", "W old", m_paranoid=1, m_ptoken="before", m_valid=0)
    add_message(fleet, 1, "CAR1", "Lé", at=NEVER)
    add_message(fleet, 1, "CAR1", "éx")
    add_message(fleet, 1, "CAR1", "Vé")
    add_record(fleet, 1, "CAR1", "*-BIN", 1, b"\xff\0\xfe")
    add_record(fleet, 1, "CAR1", "*-LOG", 2, "x", at=NEVER)
    add_record(fleet, 1, "CAR1", "*-LOG", 3, "x", until=NEVER)
    add_record(fleet, 1, "CAR1", "*-LOG", 4, "x", until=THEN)
    add_record(fleet, 1, "CAR1", "é\0", 5, "x", until="9999-12-31 23:59:59")
    lines = bring(ovms, fleet)
    assert rows(database_url, "SELECT code, data, paranoid, paranoid_token, valid FROM messages ORDER BY code") == [
        ("D", b" sealed", True, "ptoken", True),
        ("S", b"80,K,0,0,charging", False, "", True),
        ("V", "é".encode(), False, "", True),
        ("W", b" old", True, "before", False),
    ]
    assert rows(database_url, 'SELECT record_type, data FROM history ORDER BY record_type COLLATE "C"') == [
        ("*-BIN", b"\xff\0\xfe"),
        ("*-LOG", b"a,b"),
        ("é", b"x"),
    ]
    assert rows(database_url, "SELECT max(expires_at) FROM history") == [(datetime(2200, 1, 1, tzinfo=UTC),)]
    left = [line for line in lines if line.startswith("left out")]
    assert sorted(left) == [
        "left out: 1 of history, expired (owner 1: 'CAR1')",
        "left out: 1 of messages, a code that no message has (owner 1: 'CAR1')",
        "left out: 1 of messages, a time that does not exist (owner 1: 'CAR1')",
        "left out: 2 of history, a time that does not exist (owner 1: 'CAR1')",
    ]


def test_sums_of_traffic_only_grow(ovms: Command, fleet: MariaDB, database_url: str) -> None:
    kind, day = "*-OVM-Utilisation", "2026-01-02 00:00:00"
    for number, size in enumerate(("100", "100", "odd")):
        add_record(fleet, 1, "CAR1", kind, number, size, at=day)
    bring(ovms, fleet)
    fetch(database_url, "UPDATE history SET data = '150' WHERE record_number = 1 AND record_type LIKE '%Util%'")
    fleet.run(f"UPDATE {DATABASE}.ovms_historicalmessages SET h_data = '120' WHERE h_recordtype = %s", [kind])
    bring(ovms, fleet)
    found = rows(database_url, f"SELECT data FROM history WHERE record_type = '{kind}' ORDER BY record_number")
    assert found == [(b"120",), (b"150",), (b"odd",)]


def test_awkward_tokens_subscriptions_and_configurations(ovms: Command, fleet: MariaDB, database_url: str) -> None:
    add_owner(fleet, 2, "Bob")
    fleet.add("apitokens", owner=2, token=TOKEN)
    fleet.add("apitokens", owner=2, token="short")
    add_subscription(fleet, "off", "gcm", "key", active=0)
    add_subscription(fleet, "fax", "fax", "key")
    add_subscription(fleet, "ended", "mail", "-")
    add_subscription(fleet, "iphone", "apns", "ab" * 32, pushkeytype="sandbox", lastupdated=NEVER)
    for key, changes in {
        "NOBODY": {"owner": 0},
        "LEFT": {"owner": 9},
        "GONE": {"deleted": 1},
        "TWO WORDS": {},
        "LONG": {"ap_msg": "A" * 968},
        "WRONG": {"ap_sdigest": "d"},
    }.items():
        record = {"ap_key": key, "ap_stoken": "t", "ap_sdigest": "d" * 22, "ap_msg": "AAAA", "owner": 1} | changes
        fleet.add("autoprovision", **record)
    lines = bring(ovms, fleet)
    assert lines[4:7] == [
        "tokens: 1 taken, 0 here already, 2 left out",
        "subscriptions: 2 taken, 0 here already, 3 left out",
        "configurations: 2 taken, 0 here already, 5 left out",
    ]
    assert "left out: 1 of tokens, another owner has the same (owner 2)" in lines
    assert "left out: 1 of subscriptions, of a push type that is not delivered here (owner 1: 'CAR1')" in lines
    assert "left out: 1 of configurations, empty, not base64, or longer than a module receives (LONG)" in lines
    assert not any(TOKEN in line or "short" in line for line in lines)
    assert rows(database_url, "SELECT app_id, key_type FROM push_subscriptions ORDER BY 1") == [
        ("iphone", "production"),
        ("phone", ""),
    ]
    assert rows(database_url, "SELECT key, owner_id IS NULL FROM enciphered_configurations ORDER BY 1") == [
        ("NOBODY", True),
        ("VIN1", False),
    ]
    assert ovms("autoprovision", "list")[1] == "NOBODY\t\nVIN1\tAnn\n"
    assert ovms("autoprovision", "remove", "NOBODY", "--yes")[0] == 0


def test_tables_of_another_charset_and_tables_that_are_missing(ovms: Command, fleet: MariaDB, database_url: str) -> None:
    fleet.run(f"ALTER TABLE {DATABASE}.ovms_owners CONVERT TO CHARACTER SET latin1")
    add_owner(fleet, 2, "Zoë")
    fleet.run(f"DROP TABLE {DATABASE}.ovms_apitokens")
    assert bring(ovms, fleet)[-1] == "no table ovms_apitokens there"
    assert rows(database_url, "SELECT name FROM owners ORDER BY id") == [("Ann",), ("Zoë",)]
    fleet.run(f"ALTER TABLE {DATABASE}.ovms_notifies DROP COLUMN active")
    assert ovms("import-reference", OVMS_REFERENCE_URL=fleet.url)[::2] == (
        1,
        "ovms: reference: table ovms_notifies has no column active: this is no database of version 3\n",
    )


def test_the_source_cannot_be_written(fleet: MariaDB) -> None:
    source = Source.open(read_address(fleet.url))
    with pytest.raises(SourceError, match="READ ONLY"):
        source._ask("DELETE FROM ovms_cars", ())
    source.close()
    assert fleet.run(f"SELECT COUNT(*) FROM {DATABASE}.ovms_cars") == [(1,)]


@pytest.mark.parametrize(
    ("changed", "status", "message"),
    [
        (("p%2Fw%401", "wrong"), 1, "Access denied"),
        (("/openvehicles", "/nothing"), 1, "nothing"),
        (("mysql://", "postgresql://"), 2, "OVMS_REFERENCE_URL: not of the form"),
    ],
)
def test_an_address_that_is_wrong(ovms: Command, fleet: MariaDB, changed: tuple[str, str], status: int, message: str) -> None:
    found = ovms("import-reference", OVMS_REFERENCE_URL=fleet.url.replace(*changed))
    assert found[0] == status
    assert message in found[2]
    assert len(found[2].splitlines()) == 1
    assert not any(secret in found[2] for secret in ("p%2Fw", "p/w@1", "wrong"))


def test_without_an_address(ovms: Command) -> None:
    status, _, err = ovms("import-reference")
    assert status == 1
    assert err.startswith("ovms: OVMS_REFERENCE_URL is not set")


class Failing(Source):
    """A connection that breaks after so many pages of history."""

    pages_left = 0
    asked: list[Sequence[str] | None]

    def page(self, table: SourceTable, after: Sequence[str] | None, **where: object) -> list[Row]:
        if where:
            if not self.pages_left:
                raise SourceError("gone")
            self.pages_left -= 1
            self.asked.append(after)
        return super().page(table, after, **where)


async def test_the_history_goes_on_where_it_was_interrupted(
    fleet: MariaDB, pool: asyncpg.Pool[asyncpg.Record], secret_keys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (source_module, work):
        monkeypatch.setattr(module, "PAGE", 3)
    add_car(fleet, 1, "CAR2")
    for number in range(10):
        add_record(fleet, 1, "CAR2", "*-LOG", number % 4, str(number), at=f"2026-01-02 03:04:{number:02}")

    async def run(pages: int) -> tuple[Failing, list[str], list[str]]:
        source, report, said = Failing.open(read_address(fleet.url)), Report(), list[str]()
        source.pages_left, source.asked = pages, []
        seconds = iter(range(0, 10_000, 10))
        async with pool.acquire() as connection:
            brings = Import(
                source,
                connection,
                Sealer.from_setting(secret_keys),
                report=report,
                progress=Progress(said.append, lambda: next(seconds)),
                has_plain_passwords=False,
                is_trial=False,
                clock=lambda: datetime.now(UTC),
            )
            try:
                await brings.run()
            except SourceError:
                assert not source.pages_left
            finally:
                source.close()
        return source, report.lines(), said

    await run(3)
    assert await pool.fetchval("SELECT count(*) FROM history") == 7
    source, lines, said = await run(9)
    assert len(source.asked) == 2  # of CAR1 nothing, of CAR2 what follows the sixth
    assert source.asked[0] == ("*-LOG", "1", "2026-01-02 03:04:09")
    assert "history: 4 taken, 0 here already, 7 left out" in lines
    assert lines[-1] == "went on after an interruption: run it again for the history that was added since"
    assert "history: 4 of 11 rows, 36 %" in said
    assert await pool.fetchval("SELECT count(DISTINCT data) FROM history") == 11

    _, lines, _ = await run(9)
    assert "history: 0 taken, 11 here already, 0 left out" in lines
    assert await pool.fetchval("SELECT count(*) FROM reference_positions") == 0


async def test_only_one_import_at_a_time(ovms: Command, fleet: MariaDB, pool: asyncpg.Pool[asyncpg.Record]) -> None:
    async with pool.acquire() as connection:
        assert await work.taking.take_lock(connection)
        status, _, err = await asyncio.to_thread(ovms, "import-reference", OVMS_REFERENCE_URL=fleet.url)
    assert (status, err) == (1, "ovms: another import is under way\n")
