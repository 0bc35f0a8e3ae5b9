"""Values of every field, from the declarations."""

from enum import Enum

from hypothesis import settings
from hypothesis import strategies as st

from ovms.records import Record
from ovms.records.columns import Counted, Flags, Rest, Sign
from ovms.records.record import Field
from ovms.records.tokens import LARGEST_INTEGER

# A record is many values: a few of them try more than a hundred of a plain type. Never by the clock.
FEW = settings(max_examples=25, deadline=None)

# What write_text() keeps as it is: no comma, no line feed.
words = st.text(st.characters(exclude_characters=",\n", exclude_categories=["Cs"]), min_size=1)


def one_value(field: Field) -> st.SearchStrategy[object]:
    """One value of a field's type, as a decoder can give it."""
    if isinstance(field.column, Flags):
        return st.integers(0, 255).map(field.column.bits)
    if isinstance(field.column, Sign) or field.kind is bool:
        return st.booleans()
    if issubclass(field.kind, Enum):
        return st.sampled_from(field.kind)
    least, most, per = field.column.least, field.column.most, field.column.per
    if field.kind is float and per == 1:
        return st.floats(least, most, allow_nan=False, allow_infinity=False)
    if field.kind is float:
        low, high = (-(10**9) if least is None else least * per), (10**9 if most is None else most * per)
        return st.integers(low, high).map(lambda number: number / per)
    if field.kind is str:
        return words
    return st.integers(-LARGEST_INTEGER if least is None else least, LARGEST_INTEGER if most is None else most)


def values(field: Field) -> st.SearchStrategy[object]:
    """All that a field can hold."""
    if isinstance(field.column, Rest):
        return st.lists(one_value(field), max_size=6).map(tuple)
    if isinstance(field.column, Counted):
        return st.none() | st.lists(st.none() | one_value(field), max_size=6).map(tuple)
    return st.none() | one_value(field)


def records(cls: type[Record]) -> st.SearchStrategy[Record]:
    """Records of one kind."""
    return st.tuples(*map(values, cls.fields)).map(lambda given: cls(*given))


# Commas, digits and signs are what breaks a reader: they come up far more often than in plain text.
texts = st.text(st.sampled_from("0123456789,,,,.-+eExnaif_ \r\n\u0660") | st.characters(exclude_categories=["Cs"]))
