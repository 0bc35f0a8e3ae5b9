"""What one record contributes to a legacy answer: raw tokens under the reference's names."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from ovms.records.columns import Bits, Column, Counted, Flags
from ovms.records.record import Record
from ovms.records.tokens import read_number
from ovms.records.tyres import Tyres

Json = dict[str, str | int | float | None]

# Manual, Car TPMS message "Y": the factor that it gives for PSI.
PSI_PER_KPA: Final = 0.14503773773020923

# A byte has three digits; the limit keeps int() from work on long ones.
LEADING_INTEGER: Final = re.compile(r"\s*([+-]?[0-9]{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ViewField:
    """One member of an answer: its name, and what it holds (a token, a masked integer or a float)."""

    name: str
    title: str
    unit: str | None = None
    kind: Literal["text", "bit", "number"] = "text"


YOUNGEST: Final = ViewField("staletpms", "Age of the youngest of these")
PSI: Final = ViewField("pressure", "Pressures", "psi", "number")


class Tokens:
    """Fields of a record in which every field is one token."""

    def __init__(self, record: type[Record], names: str | None = None) -> None:
        """Choose the members with these names (blanks between them), or all that the record has."""
        wanted = frozenset(names.split()) if names else None
        chosen = [member for member in _members(record) if wanted is None or member[0].name in wanted]
        self.code = record.code
        self.fields = tuple(field for field, _, _ in chosen)
        self.wheel_fields: tuple[ViewField, ...] = ()
        self._width = len(record.fields)
        self._texts = [(field.name, place) for field, place, bit in chosen if bit is None]
        places = sorted({place for _, place, bit in chosen if bit is not None})
        self._bytes = [(place, _byte([(f.name, int(bit)) for f, p, bit in chosen if bit and p == place])) for place in places]

    def render(self, text: str) -> Json:
        """The members of the answer, from the record's data."""
        # Perl splits an empty text into nothing. Empty fields at the end stay empty texts, since the reference
        # splits into a list of variables, which implies a limit (perldoc -f split).
        tokens: list[str | None] = [*text.split(",")] if text else []
        tokens += [None] * (self._width - len(tokens))
        answer: Json = {name: tokens[place] for name, place in self._texts}
        for place, masked in self._bytes:
            answer |= masked(tokens[place])
        return answer


class Wheels:
    """The wheels of Y, under the reference's names. The reference itself fails on every one of these records."""

    def __init__(self) -> None:
        """Choose all members that the record has."""
        members = [(field.name, field.column) for field in Tyres.fields if field.column.json]
        self._once = [(name, column) for name, column in members if not isinstance(column, Counted)]
        self._per_wheel = [(name, column) for name, column in members if isinstance(column, Counted)]
        self.code = Tyres.code
        self.fields = (*(_field(column) for _, column in self._once), YOUNGEST)
        self.wheel_fields = (*(_field(column) for _, column in self._per_wheel), PSI)

    def render(self, text: str) -> Json:
        """The members of the answer, from the record's data."""
        # The reference splits into an array here, and Perl then drops empty fields at the end.
        tokens = iter(text.rstrip(",").split(","))
        raw = {field.name: field.column.raw(tokens) or [] for field in Tyres.fields}
        wheels = [(name or "").lower() for name in raw["wheels"]]
        answer: Json = {
            f"{wheel}_{column.json}": token
            for name, column in self._per_wheel
            for wheel, token in zip(wheels, raw[name], strict=False)
        }
        for wheel, token in zip(wheels, raw["pressures"], strict=False):
            pressure = read_number(token or "")
            answer[f"{wheel}_pressure_kpa"] = token or None
            answer[f"{wheel}_pressure"] = None if pressure is None else pressure * PSI_PER_KPA
        stale = {str(column.json): raw[name][0] for name, column in self._once}
        return {**answer, **stale, "staletpms": _youngest(stale.values())}


def _members(record: type[Record]) -> Iterator[tuple[ViewField, int, Bits | None]]:
    """Each member that a record has in the legacy JSON, the place of its token, and its bit."""
    for place, field in enumerate(record.fields):
        column = field.column
        if isinstance(column, Flags):
            for bit in column.bits:
                if bit.json:
                    yield ViewField(bit.json, bit.title, kind="bit"), place, bit
        elif column.json:
            yield _field(column), place, None


def _field(column: Column) -> ViewField:
    # The tokens of a column with `per` are that many times the unit: the unit alone would be wrong.
    unit = column.unit if column.per == 1 else f"1/{column.per} {column.unit}"
    return ViewField(str(column.json), column.title, unit)


def _youngest(tokens: Iterable[str | None]) -> str | None:
    """The largest number of these, as it stands: a record with one fresh measurement is fresh."""
    numbers = {number: token for token in tokens if (number := read_number(token or "")) is not None}
    return numbers[max(numbers)] if numbers else None


def _byte(bits: Sequence[tuple[str, int]]) -> Callable[[str | None], Json]:
    """What a token says of each bit of a byte: its mask, or 0."""

    @lru_cache(maxsize=256)
    def masked(token: str | None) -> Json:
        number = _numify(token)
        return {name: number & mask for name, mask in bits}

    return masked


def _numify(token: str | None) -> int:
    """The integer that a text starts with, else 0, as Perl takes a text for a number."""
    found = LEADING_INTEGER.match(token or "")
    return int(found[1]) if found else 0
