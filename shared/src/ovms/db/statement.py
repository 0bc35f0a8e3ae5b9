"""Statements built with SQLAlchemy Core from `ovms.db.tables`, compiled once, and run by asyncpg (docs/decisions/0003).

A statement is built where its module is imported, so a column that does not exist fails there. `param` marks a value that comes
with each call. All other values are constants of the code: they become literals, so that PostgreSQL can use partial indexes.
"""

import inspect
import json
from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar

import asyncpg
from sqlalchemy import JSON, BindParameter, ColumnElement, Insert, bindparam, func, literal_column, or_
from sqlalchemy.dialects.postgresql.asyncpg import PGCompiler_asyncpg, PGDialect_asyncpg
from sqlalchemy.engine.interfaces import BindTyping
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import CompilerElement
from sqlalchemy.sql.selectable import FromClause
from sqlalchemy.types import TypeEngine

from ovms.db.engine import Database

T = TypeVar("T")

SECOND: Final[ColumnElement[Any]] = literal_column("interval '1 second'")
MINUTE: Final[ColumnElement[Any]] = literal_column("interval '1 minute'")
HOUR: Final[ColumnElement[Any]] = literal_column("interval '1 hour'")
DAY: Final[ColumnElement[Any]] = literal_column("interval '1 day'")


def param(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]] | None = None) -> BindParameter[Any]:
    """Return the parameter of this name; where it occurs again it is the same one.

    PostgreSQL infers its type; `kind` matters for operators of SQLAlchemy, and where JSON is not the value of a column.
    """
    return bindparam(name, type_=kind)


def columns(rows: FromClause, *names: str) -> list[ColumnElement[Any]]:
    """Return columns by their names."""
    return [rows.c[name] for name in names]


def same_name(column: ColumnElement[Any], other: Any) -> ColumnElement[bool]:
    """Compare names of owners, without regard to case."""
    return func.lower(column) == func.lower(other)


def same_id(column: ColumnElement[Any], other: Any) -> ColumnElement[bool]:
    """Compare ids of vehicles, without regard to case."""
    return func.upper(column) == func.upper(other)


def unexpired(rows: FromClause) -> ColumnElement[bool]:
    """Select rows of a table with `expires_at` that have no end, or one that is yet to come."""
    return or_(rows.c.expires_at.is_(None), rows.c.expires_at > func.now())


class _Compiler(PGCompiler_asyncpg):
    def visit_bindparam(self, bindparam: BindParameter[Any], *arguments: Any, **options: Any) -> Any:
        if not bindparam.required:
            options["literal_binds"] = True
        return super().visit_bindparam(bindparam, *arguments, **options)  # type: ignore[no-untyped-call]


class _Dialect(PGDialect_asyncpg):
    statement_compiler = _Compiler
    bind_typing = BindTyping.NONE
    """Without casts: `$1::VARCHAR` is not comparable with an array of text, and types are inferred as in text."""


_DIALECT: Final = _Dialect()  # type: ignore[no-untyped-call]


class Statement:
    """A statement, compiled once."""

    def __init__(self, clause: Executable) -> None:
        if isinstance(clause, Insert):
            clause = clause.inline()  # or SQLAlchemy would have the primary key returned
        assert isinstance(clause, CompilerElement)
        compiled = clause.compile(dialect=_DIALECT)
        assert isinstance(compiled, SQLCompiler)
        self.sql: Final = str(compiled)
        self.parameters: Final = tuple(compiled.positiontup or ())
        self._known: Final = frozenset(self.parameters)
        self._json: Final = frozenset(name for name in self.parameters if isinstance(compiled.binds[name].type, JSON))

    async def fetch(self, db: Database, /, **given: object) -> list[asyncpg.Record]:
        """Return the rows."""
        return await db.fetch(self.sql, *self._arguments(given))

    async def fetchrow(self, db: Database, /, **given: object) -> asyncpg.Record | None:
        """Return the first row."""
        return await db.fetchrow(self.sql, *self._arguments(given))

    async def fetchval(self, db: Database, /, **given: object) -> Any:
        """Return the first column of the first row; None if there is no row."""
        return await db.fetchval(self.sql, *self._arguments(given))

    async def execute(self, db: Database, /, *, timeout: float | None = None, **given: object) -> int:  # noqa: ASYNC109 (asyncpg's)
        """Return the number of rows that were inserted, updated, deleted or selected."""
        status = await db.execute(self.sql, *self._arguments(given), timeout=timeout)
        return int(status.rpartition(" ")[2])

    def _arguments(self, given: Mapping[str, object]) -> list[object]:
        if given.keys() != self._known:
            missing, unknown = sorted(self._known - given.keys()), sorted(given.keys() - self._known)
            raise TypeError(f"missing parameters {missing}, unknown parameters {unknown} of statement: {self.sql}")
        return [json.dumps(given[name]) if name in self._json else given[name] for name in self.parameters]


class Query(Statement, Generic[T]):
    """A statement whose rows become objects of one class: its columns are the arguments of their names.

    A column that is not an argument is left for callers of `fetchrow`.
    """

    def __init__(self, kind: type[T], clause: Executable) -> None:
        super().__init__(clause)
        exported: Mapping[str, Any] = getattr(clause, "exported_columns")  # noqa: B009 (of SELECT and of RETURNING)
        arguments = inspect.signature(kind).parameters
        lacking = [name for name, one in arguments.items() if name not in exported and one.default is one.empty]
        if lacking:
            raise TypeError(f"columns {lacking} for {kind.__name__} are missing in statement: {self.sql}")
        self._kind: Final = kind
        self._columns: Final = {name: isinstance(exported[name].type, JSON) for name in arguments if name in exported}
        self._is_in_order: Final = list(exported.keys()) == list(self._columns) and not any(self._columns.values())

    async def find_all(self, db: Database, /, **given: object) -> list[T]:
        """Return an object for each row."""
        return [self.build(row) for row in await self.fetch(db, **given)]

    async def find(self, db: Database, /, **given: object) -> T | None:
        """Return the object of the first row; None if there is no row."""
        row = await self.fetchrow(db, **given)
        return None if row is None else self.build(row)

    def build(self, row: asyncpg.Record) -> T:
        """Return the object of a row."""
        if self._is_in_order:
            return self._kind(*row)
        return self._kind(**{name: json.loads(row[name]) if is_json else row[name] for name, is_json in self._columns.items()})
