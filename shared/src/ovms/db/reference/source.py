"""Reads the tables of a reference server, a page at a time.

Values come as the bytes that the reference was sent and sends again: UTF-8 as a rule, but whatever is stored. Pages are short
statements of their own: its tables are MyISAM's, and while one is read nobody writes to it, the server that holds the cars
included.
"""

import importlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from ovms.db.reference.address import Address
from ovms.errors import OvmsError

Row = Mapping[str, bytes]

PAGE: Final = 1000
_TIMEOUT: Final = 60
"""Seconds for a server to answer: a page is read along its key, at once."""
_CONNECT_TIMEOUT: Final = 10

_UTF8: Final = frozenset({b"utf8", b"utf8mb3", b"utf8mb4", b"binary", b""})


class SourceError(OvmsError):
    """The reference's database cannot be read, or is not of the form that is expected."""

    def __str__(self) -> str:
        return f"reference: {super().__str__()}"


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A table, the columns that are read of it, and those among them that no two rows have in common, in their order."""

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]


class Source:
    """A connection that can only read."""

    def __init__(self, connection: Any, errors: type[Exception]) -> None:
        self._connection = connection
        self._errors = errors
        self._charsets: dict[tuple[str, str], bytes] = {}

    @classmethod
    def open(cls, address: Address) -> Self:
        """Connect.

        Raises:
            SourceError: the driver is not installed, or the server cannot be reached or refuses.
        """
        if importlib.util.find_spec("pymysql") is None:
            raise SourceError("its driver is not installed: pip install 'ovms-shared[reference]'")
        pymysql = importlib.import_module("pymysql")
        writers = {kind: write for kind, write in pymysql.converters.encoders.items() if not isinstance(kind, int)}
        try:
            connection = pymysql.connect(
                host=address.host,
                port=address.port,
                user=address.user,
                password=address.password,
                database=address.database,
                unix_socket=address.unix_socket,
                ssl_ca=address.ssl_ca,
                ssl_verify_cert=True if address.ssl_ca else None,
                ssl_verify_identity=True if address.ssl_ca and not address.unix_socket else None,
                charset="utf8mb4",
                # Rows as bytes: no times that do not exist, no text in a wrong charset.
                use_unicode=False,
                conv=writers,
                cursorclass=pymysql.cursors.DictCursor,
                autocommit=True,
                connect_timeout=_CONNECT_TIMEOUT,
                read_timeout=_TIMEOUT,
                write_timeout=_TIMEOUT,
            )
        except (pymysql.MySQLError, OSError) as error:
            raise SourceError(_say(error)) from None
        source = cls(connection, pymysql.MySQLError)
        source._prepare()
        return source

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()

    def has(self, table: SourceTable) -> bool:
        """Whether there is such a table.

        Raises:
            SourceError: it lacks a column.
        """
        if not any(name == table.name for name, _ in self._charsets):
            return False
        for column in table.columns:
            if (table.name, column) not in self._charsets:
                raise SourceError(f"table {table.name} has no column {column}: this is no database of version 3")
        return True

    def count(self, table: SourceTable) -> int:
        """How many rows there are."""
        [row] = self._ask(f"SELECT COUNT(*) AS n FROM {table.name}", ())  # noqa: S608
        return int(row["n"])

    def pages(self, table: SourceTable) -> Iterator[list[Row]]:
        """All rows in the order of their key, a page at a time."""
        after: tuple[str, ...] | None = None
        while page := self.page(table, after):
            yield page
            after = key_of(table, page[-1])

    def page(self, table: SourceTable, after: Sequence[str] | None, **where: object) -> list[Row]:
        """The next rows in the order of the key.

        Args:
            after: the key of the last row that is known, without the columns in `where`; None: from the beginning.
            where: what the first columns of the key are.
        """
        rest = table.key[len(where) :]
        columns = ", ".join(self._read(table.name, column) for column in table.columns)
        found: list[Row] = []
        for condition, values in _steps(rest, after):
            conditions = " AND ".join([*(f"{name} = %s" for name in where), *condition]) or "TRUE"
            found += self._ask(
                f"SELECT {columns} FROM {table.name} WHERE {conditions} "  # noqa: S608
                f"ORDER BY {', '.join(rest)} LIMIT {PAGE - len(found)}",
                [*where.values(), *values],
            )
            if len(found) >= PAGE:
                break
        return found

    def _prepare(self) -> None:
        # Nothing can be written here, whatever this user may; times that do not exist are compared as they are; and what is
        # stored comes unconverted, also where it is not of its column's charset.
        for statement in (
            "SET SESSION TRANSACTION READ ONLY",
            "SET SESSION sql_mode = ''",
            "SET SESSION character_set_results = NULL",
        ):
            self._ask(statement, ())
        self._charsets = {
            (row["t"].decode("utf-8", "replace"), row["c"].decode("utf-8", "replace")): row["s"].lower()
            for row in self._ask(
                "SELECT table_name AS t, column_name AS c, character_set_name AS s "
                "FROM information_schema.columns WHERE table_schema = DATABASE()",
                (),
            )
        }

    def _read(self, table: str, column: str) -> str:
        charset = self._charsets[table, column]
        return column if charset in _UTF8 else f"CONVERT({column} USING utf8mb4) AS {column}"

    def _ask(self, statement: str, values: Sequence[object]) -> list[Row]:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement, values)
                return [{name: value or b"" for name, value in row.items()} for row in cursor.fetchall()]
        except (self._errors, OSError) as error:
            raise SourceError(_say(error)) from None


def key_of(table: SourceTable, row: Row, start: int = 0) -> tuple[str, ...]:
    """The key of a row, from one of its columns on.

    Raises:
        SourceError: it is not UTF-8, so that nobody could ask for what follows it.
    """
    try:
        return tuple(row[column].decode() for column in table.key[start:])
    except UnicodeDecodeError:
        raise SourceError(f"table {table.name} has a key that is not UTF-8") from None


def _steps(columns: Sequence[str], after: Sequence[str] | None) -> list[tuple[list[str], Sequence[str]]]:
    """Conditions that together are `(a, b, c) > (x, y, z)`, in the order of what they find.

    One condition for all of it would be looked for from the beginning each time: MySQL finds no beginning in it.
    """
    if after is None:
        return [([], ())]
    return [
        ([*(f"{column} = %s" for column in columns[:place]), f"{columns[place]} > %s"], after[: place + 1])
        for place in reversed(range(len(columns)))
    ]


def _say(error: Exception) -> str:
    """The server's words: they name the user and the host, never the password."""
    return str(error.args[1]) if len(error.args) > 1 else str(error) or type(error).__name__
