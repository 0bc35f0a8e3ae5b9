"""What a caller may do: `*` is everything, else rights with commas between, without regard to case. Pure.

Five rights are scopes, which owners choose from when they make a token or share a vehicle. The others are the reference's, of
whole services: `auth`, `session`, `v2`, `mqtt`, `token.admin` and what else a token was made with. A permit without a scope is
an older one: it reads all that there is, as it always did, and does nothing more.
"""

from functools import lru_cache
from typing import Final

from ovms.errors import IdentityError

EVERYTHING: Final = "*"
NOTHING: Final = frozenset({"", "none"})

READ: Final = "read"
"""State, but where the vehicle is."""
LOCATION: Final = "location"
"""Where it is; with `history`, where it was."""
HISTORY: Final = "history"
"""What it recorded, its notifications among that."""
CONTROL: Final = "control"
"""Tell it what to do."""
ADMIN: Final = "admin"
"""All that the owner's password may."""

READING: Final = (READ, LOCATION, HISTORY)
SCOPES: Final = (*READING, CONTROL, ADMIN)

RIGHTS: Final = (*SCOPES, "auth", "session", "token.admin", "v2", "v3", "mqtt")
"""Every right that a call of this server asks for."""

_OLDER: Final = "auth"
"""The right of every token that was made without saying more, also where a scope stands beside it."""


def grants_anything(permit: str) -> bool:
    """Whether a permit lets its holder in at all."""
    return permit.strip().lower() not in NOTHING


def check_permit(permit: str) -> str:
    """Return a permit that consists of rights that this server knows, for a token that its operator makes.

    Raises:
        IdentityError: a right is unknown, or `*` does not stand alone.
    """
    unknown = sorted(_held(permit) - set(RIGHTS)) if permit != EVERYTHING else []
    if unknown:
        raise IdentityError(f"permit {permit!r}: no right is called {unknown[0]!r}; rights are {', '.join(RIGHTS)}, or * alone")
    return permit


def permits(permit: str, *rights: str) -> bool:
    """Whether a permit holds one of these rights; `*` is every right only where it stands alone."""
    if permit == EVERYTHING:
        return True
    return not _held(permit).isdisjoint(right.lower() for right in rights)


@lru_cache(maxsize=1024)
def allows(permit: str, scope: str) -> bool:
    """Whether a permit allows what a scope stands for: it holds it or `admin`, or is an older one and this is of reading."""
    if permits(permit, scope, ADMIN):
        return True
    held = _held(permit)
    return scope in READING and grants_anything(permit) and (_OLDER in held or held.isdisjoint(SCOPES))


def _held(permit: str) -> frozenset[str]:
    return frozenset(right.strip().lower() for right in permit.split(","))
