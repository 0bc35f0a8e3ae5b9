"""Password hashes as Drupal makes them: what the owners of a reference server have, whose accounts are a Drupal site's. Pure.

Two forms: `$S$` (Drupal 7 to 10.0: SHA-512 many times, 258 of its bits) and `$2y$` (since 10.1: PHP's bcrypt). Both say how
much work it is to check them, and it is a peer who has it done: what asks for more than the bounds below is no hash here.
"""

import hashlib
import hmac
import re
from typing import Final

import bcrypt

LONGEST_PASSWORD: Final = 512
"""Bytes, as in Drupal: every round of `$S$` reads all of them."""
MOST_ROUNDS_LOG2: Final = 18
"""Of `$S$`: Drupal's own are 15 and 16."""
MOST_COST: Final = 13
"""Of bcrypt, in powers of two: PHP's own are 10 and 12."""

_DIGITS: Final = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LEAST_ROUNDS_LOG2: Final = 7
_LEAST_COST: Final = 4
_PHPASS: Final = re.compile(r"\$S\$([./0-9A-Za-z])([./0-9A-Za-z]{8})[./0-9A-Za-z]{43}\Z")
_BCRYPT: Final = re.compile(r"\$2[aby]\$(\d\d)\$[./0-9A-Za-z]{53}\Z", re.ASCII)
_BCRYPT_READS: Final = 72
"""Bytes of a password: PHP and the hash itself know no more of it."""


def is_hash(text: str) -> bool:
    """Whether a text is such a hash, and not more work than the bounds allow."""
    if found := _PHPASS.match(text):
        return _LEAST_ROUNDS_LOG2 <= _DIGITS.index(found[1]) <= MOST_ROUNDS_LOG2
    found = _BCRYPT.match(text)
    return found is not None and _LEAST_COST <= int(found[1]) <= MOST_COST


def verify(hashed: str, password: str) -> bool:
    """Whether a hash was made from this password; no for what is none. May take a quarter of a second of a core."""
    given = password.encode("utf-8", "surrogatepass")
    if not is_hash(hashed) or len(given) > LONGEST_PASSWORD or b"\0" in given:
        return False
    if hashed.startswith("$S$"):
        return hmac.compare_digest(_phpass(hashed, given), hashed)
    return bcrypt.checkpw(given[:_BCRYPT_READS], hashed.encode())


def _phpass(hashed: str, password: bytes) -> str:
    """What a password gives with the rounds and the salt of a hash."""
    digest = hashlib.sha512(hashed[4:12].encode() + password).digest()
    for _ in range(1 << _DIGITS.index(hashed[3])):
        digest = hashlib.sha512(digest + password).digest()
    return (hashed[:12] + _write_digits(digest))[: len(hashed)]


def _write_digits(data: bytes) -> str:
    """Six bits a digit, the lowest first, of each three bytes."""
    groups = (int.from_bytes(data[start : start + 3], "little") for start in range(0, len(data), 3))
    return "".join(_DIGITS[group >> shift & 63] for group in groups for shift in (0, 6, 12, 18))
