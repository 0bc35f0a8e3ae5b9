"""Who is who: vehicle ids and the roles that a peer logs in with."""

import re
from enum import Enum
from typing import Final

from ovms.errors import IdentityError

VEHICLE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,32}\Z")


class Role(Enum):
    """The kind of a peer: the letter after `MP-` in its welcome (manual, Startup)."""

    CAR = "C"
    APP = "A"
    BATCH = "B"


def check_vehicle_id(text: str) -> str:
    """Return a vehicle id as it is spelled.

    Raises:
        IdentityError: it is empty, longer than 32 characters or has others than `A-Z a-z 0-9 . _ -`.
    """
    if not VEHICLE_ID.match(text):
        raise IdentityError(f"vehicle id {text!r}: 1 to 32 letters, digits, dots, dashes or underscores")
    return text


def fold_vehicle_id(text: str) -> str:
    """The form under which two spellings of one vehicle id are equal."""
    return text.upper()
