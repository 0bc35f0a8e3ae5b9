"""What a caller may do: `*` is everything, else rights with commas between, without regard to case. Pure."""

from typing import Final

EVERYTHING: Final = "*"
NOTHING: Final = frozenset({"", "none"})


def grants_anything(permit: str) -> bool:
    """Whether a permit lets its holder in at all."""
    return permit.strip().lower() not in NOTHING


def permits(permit: str, *rights: str) -> bool:
    """Whether a permit holds one of these rights; `*` is every right only where it stands alone."""
    if permit == EVERYTHING:
        return True
    held = {right.strip().lower() for right in permit.split(",")}
    return not held.isdisjoint(right.lower() for right in rights)
