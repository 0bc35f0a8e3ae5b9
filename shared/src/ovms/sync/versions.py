"""Versions, and the rows and answers that carry them."""

from typing import Final, NamedTuple


class Version(NamedTuple):
    """The place of a message in all that a vehicle's car has ever sent; compares as a tuple.

    Its replica gives each message of the car the next number of the session, in the order in which the car sent them.
    """

    session: int
    """The number of the car's session; never falls."""
    number: int
    """1, 2, 3 and so on within the session."""


NO_VERSION: Final = Version(0, 0)
"""Before every version."""


class Row(NamedTuple):
    """The state of one record code, at a version."""

    message: bytes
    """As on the wire: one byte of code, then the data; of an encrypted message without the `EM` before the code."""
    received_at: float
    """Unix time by the clock of the car's replica; for display only, it decides no order."""
    encrypted_with: str | None
    """The token of the key that the data is encrypted with, empty where it was not stated; None: it is not encrypted."""
    version: Version


class Answer(NamedTuple):
    """All rows of a vehicle that a replica has not committed, as of a position."""

    position: Version
    """The version of the last message of the car's session there; `NO_VERSION` where the car is not connected there."""
    token: str
    """The token in force at the position; empty outside paranoid mode."""
    rows: tuple[Row, ...]


_FIRST: Final = b"SF"


def display_order(code: int) -> tuple[int, int]:
    """Return the sort key of a record code: `F`, then `S`, then the others by code.

    A client needs the units of measurement in `S` to read `D` and `L`.
    """
    return -_FIRST.find(code), code
