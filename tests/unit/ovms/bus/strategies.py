"""What the bodies between replicas are made of."""

import json
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st

from ovms.bus.replicas import Address, Kept

SOME = settings(max_examples=60, deadline=None)

NUMBERS = st.integers(0, 1 << 62)
NAMES = st.from_regex(r"[0-9a-f]{16}", fullmatch=True)
ADDRESSES = st.builds(Address, NAMES, NUMBERS)
MESSAGES = st.binary(min_size=1, max_size=40)
TIMES = st.floats(0, 1e11)
KEY_NAMES = st.none() | st.text(max_size=10)
KEPT = st.lists(st.builds(Kept, MESSAGES, TIMES, KEY_NAMES, NUMBERS, NUMBERS), max_size=4)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.dictionaries(st.sampled_from(["session", "number", "token", "parts", "messages"]), parts)
    ),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())


def bodies(*words: bytes) -> st.SearchStrategy[bytes]:
    """Any bytes, most of them after a word that is known."""
    field = st.sampled_from([b"", b"0", b"7", b"-1", b"5f2c", b"\xff"])
    fields = st.lists(field | st.binary(max_size=5), max_size=6).map(b" ".join)
    return st.binary(max_size=40) | st.builds(lambda word, rest: word + b" " + rest, st.sampled_from(words), fields)


def is_read(read: Callable[[bytes], object], body: bytes) -> bool:
    """Whether a body is what a function reads, or is refused by it; passes on any other error."""
    try:
        read(body)
    except ValueError:
        return False
    return True
