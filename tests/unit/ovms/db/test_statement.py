"""Statements compiled once from the tables, and run by asyncpg."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from ovms.db import statement
from ovms.db.statement import DAY, Query, Statement, columns, param, same_id, same_name, unexpired
from ovms.db.tables import api_tokens, audit, commands, owners, vehicles

FIND: Final = Statement(select(owners.c.email).where(owners.c.id == param("owner_id"), same_name(owners.c.name, param("name"))))


class Row(dict[str, Any]):
    """As asyncpg has it: iterates over its values."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values())


class Database:
    """Keeps what it is asked, and returns one row."""

    def __init__(self, row: dict[str, Any] | None = None, status: str = "SELECT 1") -> None:
        self.asked: list[tuple[object, ...]] = []
        self.row, self.status = None if row is None else Row(row), status

    async def fetch(self, *asked: object) -> list[dict[str, Any]]:
        self.asked.append(asked)
        return [] if self.row is None else [self.row]

    async def fetchrow(self, *asked: object) -> dict[str, Any] | None:
        self.asked.append(asked)
        return self.row

    async def fetchval(self, *asked: object) -> object:
        self.asked.append(asked)
        return None if self.row is None else next(iter(self.row.values()))

    async def execute(self, *asked: object, timeout: float | None) -> str:  # noqa: ASYNC109
        self.asked.append((*asked, timeout))
        return self.status


def lines(sql: str) -> str:
    return " ".join(sql.split())


def test_a_column_that_does_not_exist_fails_where_the_statement_is_built() -> None:
    with pytest.raises(AttributeError, match="nickname"):
        select(owners.c.nickname)
    with pytest.raises(KeyError, match="nickname"):
        columns(owners, "name", "nickname")
    with pytest.raises(Exception, match="nickname"):
        Statement(update(owners).values(nickname=param("nickname")))


def test_parameters_are_passed_by_name_in_the_order_of_the_statement() -> None:
    assert lines(FIND.sql) == "SELECT owners.email FROM owners WHERE owners.id = $1 AND lower(owners.name) = lower($2)"


async def test_a_call_passes_the_compiled_text_and_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(statement._Compiler, "__init__", fail)
    database = Database({"email": "a@b"})
    for call in (FIND.fetch, FIND.fetchrow, FIND.fetchval):
        await call(cast("Any", database), name="demo", owner_id=1)
    assert await FIND.execute(cast("Any", database), name="demo", owner_id=1, timeout=5.0) == 1
    assert database.asked == [(FIND.sql, 1, "demo")] * 3 + [(FIND.sql, 1, "demo", 5.0)]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"owner_id": 1}, r"missing parameters \['name'\], unknown parameters \[\] of statement: SELECT owners.email"),
        ({"owner_id": 1, "name": "demo", "mail": ""}, r"unknown parameters \['mail'\] of statement: SELECT owners.email"),
        ({"owner_id": 1, "nam": "demo"}, r"missing parameters \['name'\], unknown parameters \['nam'\] of statement"),
    ],
)
async def test_missing_and_unknown_parameters_name_the_statement(given: dict[str, object], complaint: str) -> None:
    database = Database()
    with pytest.raises(TypeError, match=complaint):
        await FIND.fetch(cast("Any", database), **given)
    assert database.asked == []


def test_constants_are_literals_so_that_partial_indexes_are_used() -> None:
    made = Statement(
        update(commands)
        .values(state="unknown", actor="it's")
        .where(commands.c.state == "sent", commands.c.place < param("place"))
    )
    assert lines(made.sql) == (
        "UPDATE commands SET actor='it''s', state='unknown' WHERE commands.state = 'sent' AND commands.place < $1"
    )
    limited = Statement(select(commands.c.id).where(commands.c.created_at < func.now() - param("days") * DAY).limit(500))
    assert lines(limited.sql) == (
        "SELECT commands.id FROM commands WHERE commands.created_at < now() - $1 * interval '1 day' LIMIT 500"
    )


def test_a_parameter_that_occurs_twice_is_one_parameter_without_a_cast() -> None:
    made = Statement(
        select(vehicles.c.id).where(same_id(vehicles.c.vehicle_id, param("id")), vehicles.c.vehicle_id != param("id"))
    )
    assert made.sql.count("$1") == 2
    assert "::" not in made.sql
    assert "$2" not in made.sql


def test_rows_without_an_end_are_unexpired() -> None:
    made = Statement(select(api_tokens.c.id).where(unexpired(api_tokens)))
    assert lines(made.sql) == (
        "SELECT api_tokens.id FROM api_tokens WHERE api_tokens.expires_at IS NULL OR api_tokens.expires_at > now()"
    )


async def test_insert_returns_the_number_of_rows_and_no_key() -> None:
    made = Statement(insert(owners).values(name=param("name"), password_hash=param("password_hash")))
    assert lines(made.sql) == "INSERT INTO owners (name, password_hash) VALUES ($1, $2)"
    database = Database(status="INSERT 0 3")
    assert await made.execute(cast("Any", database), name="demo", password_hash="") == 3
    assert "RETURNING owners.id" in Statement(upsert(owners).values(name=param("name")).returning(owners.c.id)).sql


async def test_json_is_encoded_in_parameters_and_decoded_in_objects() -> None:
    @dataclass(frozen=True)
    class Entry:
        id: int
        detail: dict[str, Any]

    database = Database({"id": 1, "detail": '{"number":20}'})
    add = Statement(insert(audit).values(actor=param("actor"), detail=param("detail")))
    await add.execute(cast("Any", database), actor="demo", detail={"number": 20})
    assert database.asked == [(add.sql, "demo", '{"number": 20}', None)]
    assert await Query(Entry, select(audit.c.id, audit.c.detail)).find(cast("Any", database)) == Entry(1, {"number": 20})


class Name(NamedTuple):
    name: str
    email: str = ""


@pytest.mark.parametrize("names", [("id", "email", "name"), ("email", "name"), ("name", "email"), ("name", "email", "id")])
async def test_rows_become_objects_by_the_names_of_columns(names: tuple[str, ...]) -> None:
    query = Query(Name, select(*columns(owners, *names)))
    database = Database({name: {"id": 1, "email": "a@b", "name": "demo"}[name] for name in names})
    assert await query.find(cast("Any", database)) == Name("demo", "a@b")
    assert await query.find_all(cast("Any", database)) == [Name("demo", "a@b")]
    assert await query.find(cast("Any", Database())) is None


async def test_arguments_that_have_a_default_need_no_column() -> None:
    database = Database({"name": "demo"})
    assert await Query(Name, select(owners.c.name)).find_all(cast("Any", database)) == [Name("demo")]
    returning = Query(Name, insert(owners).values(name=param("name")).returning(owners.c.name))
    assert await returning.find(cast("Any", database), name="demo") == Name("demo")


def test_a_statement_that_lacks_a_column_of_its_objects_fails_where_it_is_built() -> None:
    with pytest.raises(TypeError, match=r"columns \['name'\] for Name are missing in statement: SELECT owners.email"):
        Query(Name, select(owners.c.email))
