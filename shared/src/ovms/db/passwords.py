"""Passwords of owners: Argon2id. Both functions take milliseconds of a core and 19 MiB: call them in a bounded thread pool."""

from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# OWASP Password Storage Cheat Sheet, Argon2id: 19 MiB, two passes, one lane. One lane keeps a login to one core, and
# 19 MiB bound what many logins at once take.
_TIME_COST: Final = 2
_MEMORY_COST: Final = 19 * 1024
_PARALLELISM: Final = 1


def hash_password(text: str) -> str:
    """Hash a password under a fresh salt."""
    return _hasher().hash(text)


def verify_password(hash: str, text: str) -> bool:  # noqa: A002
    """Whether the hash was made from this password; no for anything that is no hash."""
    try:
        return _hasher().verify(hash, text)
    except (VerificationError, InvalidHashError):
        return False


def _hasher() -> PasswordHasher:
    return PasswordHasher(time_cost=_TIME_COST, memory_cost=_MEMORY_COST, parallelism=_PARALLELISM)
