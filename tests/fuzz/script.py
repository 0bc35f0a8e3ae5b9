"""The input of targets that need more than one call: steps, each a letter that says what happens and the bytes it happens with.

A mark stands between steps rather than a length before each, so that bytes may be put in or cut out anywhere.
"""

from collections.abc import Iterator
from typing import Final

MARK: Final = b"\x1e\x1f"
MOST_STEPS: Final = 64
FLOOD: Final = 1024
"""How often a flood repeats its bytes."""


def read_steps(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What happens, and with which bytes."""
    for step in data.split(MARK, MOST_STEPS)[:MOST_STEPS]:
        if step:
            yield chr(step[0]), step[1:]


def write_steps(*steps: tuple[str, bytes]) -> bytes:
    """The input of these steps."""
    return MARK.join(letter.encode("latin-1") + data for letter, data in steps)
