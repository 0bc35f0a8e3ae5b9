"""Passwords of owners: Argon2id, and what owners brought from a reference server until they have signed in here once.

To hash and to verify takes milliseconds of a core and 19 MiB: do it in a bounded thread pool.
"""

from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ovms.db import drupal

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
    if is_outdated(hash):
        return drupal.verify(hash, text)
    try:
        return _hasher().verify(hash, text)
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(hash: str) -> bool:  # noqa: A002
    """Whether a hash was brought along, and is to be made anew once the password is known."""
    return drupal.is_hash(hash)


def _hasher() -> PasswordHasher:
    return PasswordHasher(time_cost=_TIME_COST, memory_cost=_MEMORY_COST, parallelism=_PARALLELISM)
