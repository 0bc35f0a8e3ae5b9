"""The fields of every record as Markdown, from their declarations: `python -m ovms.records.document [file]`."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Final

from ovms.records import RECORDS
from ovms.records.columns import Bits, Flags
from ovms.records.record import Field, Record

HEAD: Final = """\
# Records

Made by `python -m ovms.records.document docs/records.md` from the declarations in `ovms.records`. Do not edit.

A record is the data of a message: fields with commas between them, in this order. A field that is missing, empty
or unreadable is null in the typed form; fields after the last one are ignored. *JSON* is the name in the answers of
`/api/*`, which give the text that the car sent, or a bit's value and 0.
"""

TYPES: Final[Mapping[type, str]] = {float: "number", int: "integer", bool: "boolean", str: "text"}
COLUMNS: Final = ("#", "Field", "Type", "Unit", "On the wire", "JSON", "Meaning")


def document() -> str:
    """The whole document."""
    sections = (line for record in RECORDS.values() for line in _section(record))
    return "\n".join([HEAD, *sections, *_sets()])


def _section(record: type[Record]) -> Iterator[str]:
    yield f"## `{record.code}`: {record.__name__}"
    yield ""
    yield (record.__doc__ or "").strip()
    yield ""
    yield from _table(COLUMNS, [_row(number, field) for number, field in enumerate(record.fields, 1)])
    for field in record.fields:
        if isinstance(field.column, Flags):
            yield from _bits(field.name, field.column.bits)


def _row(number: int, field: Field) -> Sequence[str]:
    column = field.column
    name = f"`{column.json}`" if column.json else ""
    return (
        str(number),
        f"`{field.name}`",
        TYPES.get(field.kind, field.kind.__name__),
        column.unit or "",
        column.wire,
        name,
        column.title,
    )


def _bits(name: str, bits: type[Bits]) -> Iterator[str]:
    yield f"Bits of `{name}`:"
    yield ""
    rows = [(str(int(bit)), f"`{str(bit.name).lower()}`", f"`{bit.json}`" if bit.json else "", bit.title) for bit in bits]
    yield from _table(("Value", "Bit", "JSON", "Meaning"), rows)


def _sets() -> Iterator[str]:
    yield "## Closed sets"
    yield ""
    kinds = {field.kind for record in RECORDS.values() for field in record.fields}
    sets = [kind for kind in kinds if issubclass(kind, Enum) and not issubclass(kind, Bits)]
    yield from (f"- {kind.__name__}: {kind.__doc__}" for kind in sorted(sets, key=lambda kind: kind.__name__))
    yield ""


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield _line(heads)
    yield _line(["---"] * len(heads))
    yield from map(_line, rows)
    yield ""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str]) -> None:
    """Write the document to the file that is named, else to the standard output."""
    if arguments:
        Path(arguments[0]).write_text(document(), encoding="utf-8")
    else:
        sys.stdout.write(document())


if __name__ == "__main__":
    main(sys.argv[1:])
