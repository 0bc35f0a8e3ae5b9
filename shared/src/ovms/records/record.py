"""A record is its declaration: one loop decodes any of them, one encodes any of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import NoneType
from typing import Annotated, Any, ClassVar, TypeVar, dataclass_transform, get_args, get_origin, get_type_hints

from ovms.records.columns import Column
from ovms.records.tokens import Codec


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record: its name, the type of one value, and how the wire carries it."""

    name: str
    kind: type
    column: Column
    codec: Codec


class Record:
    """What all records have: the message code, and the fields in wire order."""

    __slots__ = ()

    code: ClassVar[str]
    fields: ClassVar[tuple[Field, ...]]
    __dataclass_fields__: ClassVar[dict[str, Any]]  # says to type checkers that each is a dataclass


R = TypeVar("R", bound=Record)


@dataclass_transform(frozen_default=True)
def record(code: str) -> Callable[[type[R]], type[R]]:
    """Make the class a record: a frozen dataclass whose annotations are the message's fields in wire order."""

    def declare(cls: type[R]) -> type[R]:
        made = dataclass(frozen=True, slots=True)(cls)
        made.code = code
        made.fields = tuple(_fields(made))
        return made

    return declare


def decode(cls: type[R], text: str) -> R:
    """Read a record from a message's data, that is without its code.

    It never fails: a field that is missing, empty or unreadable is None, and fields after the last one known
    are ignored (manual, Backwards compatibility). The empty text is the record that knows nothing.
    """
    tokens = iter(text.split(","))
    return cls(*(field.column.take(tokens, field.codec) for field in cls.fields))


def encode(value: Record) -> str:
    """Write a record as a message's data. Every field is sent, as the firmware does: None is an empty one."""
    tokens: list[str] = []
    for field in value.fields:
        tokens += field.column.give(getattr(value, field.name), field.codec)
    return ",".join(tokens)


def _fields(cls: type[Record]) -> Iterator[Field]:
    for name, hint in get_type_hints(cls, include_extras=True).items():
        if get_origin(hint) is Annotated:
            kind = _kind(hint.__origin__)
            (column,) = hint.__metadata__
            yield Field(name, kind, column, column.codec(kind))


def _kind(hint: object) -> type:
    """The type of one value: float of `float | None`, and of `tuple[float | None, ...] | None`."""
    if isinstance(hint, type) and get_origin(hint) is None:
        return hint
    return next(_kind(argument) for argument in get_args(hint) if argument is not NoneType)
