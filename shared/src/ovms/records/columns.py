"""What the fields of a record can be on the wire, declared as data.

A column takes its tokens from the front of what is left of a record and gives tokens back. Four kinds cover
all records: `Column` (one token; `Sign` and `Flags` read it their own way), `Counted` (a count, then as many
values) and `Rest` (all that is left). pydantic finds `__get_pydantic_json_schema__` by its name: nothing here
imports it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntFlag
from functools import partial
from itertools import islice
from typing import Any, Final, Self

from ovms.records.tokens import Codec, codec, read_integer, read_sign, write_integer, write_sign

# No vehicle has as many wheels: a larger count is a broken record, not a reason to allocate.
LARGEST_COUNT: Final = 64

JsonSchema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One token.

    Args:
        title: What the field means, for people.
        json: Its name in the legacy JSON of `/api/*`, None where that has none.
        unit: The unit of the typed value, None where it has none.
        per: The wire carries whole numbers that are as many times the value (10: tenths).
        base: 16 where the wire carries hexadecimal digits.
        least: The least value, None for no bound. A module sends less for "unknown": -1, or a date before its clock is set.
        most: The greatest value, None for no bound. A module sends more for "unknown": 65535.
    """

    title: str
    json: str | None = None
    unit: str | None = None
    per: int = 1
    base: int = 10
    least: int | None = None
    most: int | None = None

    def codec(self, kind: type) -> Codec:
        """How one value of this type is read and written."""
        plain = codec(kind, per=self.per, base=self.base)
        if self.least is None and self.most is None:
            return plain
        return Codec(partial(self._read_bounded, plain.read), plain.write)

    def _read_bounded(self, read: Callable[[str], Any], token: str) -> Any:
        value = read(token)
        if value is None or (self.least is not None and value < self.least) or (self.most is not None and value > self.most):
            return None
        return value

    def raw(self, tokens: Iterator[str]) -> list[str | None] | None:
        """Take this field's tokens as they stand, without a count; None in place of those that are missing."""
        return [next(tokens, None)]

    def take(self, tokens: Iterator[str], codec: Codec) -> object:
        """Take this field's token and read it; None for a token that says nothing."""
        return codec.read(next(tokens, ""))

    def give(self, value: Any, codec: Codec) -> list[str]:
        """The tokens of a value."""
        return ["" if value is None else codec.write(value)]

    @property
    def wire(self) -> str:
        """How the wire differs from the plain value, for the documents."""
        form = "hexadecimal" if self.base == 16 else ""
        if self.per != 1:
            form = f"{self.per} times the value"
        below = "" if self.least is None else f"below {self.least}: unknown"
        above = "" if self.most is None else f"above {self.most}: unknown"
        return "; ".join(part for part in (form, below, above) if part)

    def __get_pydantic_json_schema__(self, core: Any, handler: Callable[[Any], JsonSchema]) -> JsonSchema:
        """The schema of the typed value, with its title as the description and its unit as `x-unit`."""
        schema = {**handler(core), "description": self.title}
        return schema if self.unit is None else {**schema, "x-unit": self.unit}


@dataclass(frozen=True, slots=True)
class Sign(Column):
    """One token of which the sign is the answer."""

    def codec(self, kind: type) -> Codec:  # noqa: ARG002 - it is always bool
        """Yes from 0 up, no below."""
        return Codec(read_sign, write_sign)

    @property
    def wire(self) -> str:
        """What the number means, for the documents."""
        return "yes from 0 up, no below"


class Bits(IntFlag):
    """The bits of one byte: each a mask, its title and its legacy JSON name.

    Bits without a name may be set or not: the firmware's unions are on the stack and never cleared.
    """

    title: str
    json: str | None

    def __new__(cls, mask: int, title: str = "", json: str | None = None) -> Self:
        bit = int.__new__(cls, mask)
        bit._value_ = mask
        bit.title = title
        bit.json = json
        return bit


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags(Column):
    """One token that is a byte of bits; it has no legacy JSON name itself, its bits have."""

    bits: type[Bits]

    def codec(self, kind: type) -> Codec:  # noqa: ARG002 - it is always self.bits
        """A byte as a decimal number."""
        return Codec(self._read, write_integer)

    def _read(self, token: str) -> Bits | None:
        number = read_integer(token)
        return None if number is None or not 0 <= number <= 0xFF else self.bits(number)

    @property
    def wire(self) -> str:
        """That the number is bits, for the documents."""
        return "bits"

    def __get_pydantic_json_schema__(self, core: Any, handler: Callable[[Any], JsonSchema]) -> JsonSchema:
        """A byte with its bits as `x-bits`: pydantic's own schema of a flag allows single bits only."""
        byte = {"type": "integer", "minimum": 0, "maximum": 0xFF}
        bits = [{"mask": bit.value, "name": str(bit.name).lower(), "title": bit.title} for bit in self.bits]
        return {"anyOf": [byte, {"type": "null"}], "description": self.title, "x-bits": bits}


@dataclass(frozen=True, slots=True)
class Counted(Column):
    """A count, then as many values; its legacy JSON name follows the name of a wheel."""

    def raw(self, tokens: Iterator[str]) -> list[str | None] | None:
        """Take as many tokens as the count in front of them says.

        A count that is none leaves nothing that could be told apart: the rest of the record is dropped.
        """
        token = next(tokens, "")
        count = read_integer(token)
        if count is None or not 0 <= count <= LARGEST_COUNT:
            _drop(tokens if token else iter(()))
            return None
        values: list[str | None] = list(islice(tokens, count))
        return values + [None] * (count - len(values))

    def take(self, tokens: Iterator[str], codec: Codec) -> tuple[object, ...] | None:
        """Take the values and read each."""
        values = self.raw(tokens)
        return None if values is None else tuple(codec.read(token or "") for token in values)

    def give(self, value: tuple[object, ...] | None, codec: Codec) -> list[str]:
        """The count and the tokens of the values."""
        if value is None:
            return [""]
        return [str(len(value)), *("" if item is None else codec.write(item) for item in value)]

    @property
    def wire(self) -> str:
        """That more than one token is read, for the documents."""
        return "a count, then the values"


@dataclass(frozen=True, slots=True)
class Rest(Column):
    """All tokens that are left; empty ones say nothing."""

    def take(self, tokens: Iterator[str], codec: Codec) -> tuple[object, ...]:
        """Take all that is left and read each."""
        return tuple(codec.read(token) for token in tokens if token)

    def give(self, value: tuple[object, ...], codec: Codec) -> list[str]:
        """The tokens of the values."""
        return [codec.write(item) for item in value]

    @property
    def wire(self) -> str:
        """That more than one token is read, for the documents."""
        return "all that is left"


def _drop(tokens: Iterator[str]) -> None:
    for _ in tokens:
        pass
