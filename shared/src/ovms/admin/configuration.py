"""What a configuration for auto-provisioning may consist of. No message holds a secret or a parameter."""

from collections.abc import Sequence
from typing import Final

from ovms.admin.errors import InputError

LONGEST_KEY: Final = 64
# A module receives into 1,024 bytes (firmware, ovms_server_v2.cpp: `OvmsBuffer(1024)`), and the line that carries a record has
# 57 others: `AP-S 0`, a token of 22, a digest of 24, blanks and the line end. 964 of base64 are left.
LONGEST_RECORD: Final = 964 // 4 * 3


def check_key(key: str) -> str:
    """Return a key as it is spelled.

    Raises:
        InputError: it is empty or too long, or no single word of a line.
    """
    if not _is_word(key) or len(key) > LONGEST_KEY:
        raise InputError(f"key {key!r}: 1 to {LONGEST_KEY} printable characters without blanks")
    return key


def check_secret(secret: str) -> str:
    """Return the secret that a record is enciphered with.

    Raises:
        InputError: it is empty, or cannot be printed.
    """
    if not secret or not secret.isprintable():
        raise InputError("secret is empty or holds a character that is not printable")
    return secret


def join_parameters(parameters: Sequence[str]) -> str:
    """The record that a module is sent: parameters, spaces between.

    Raises:
        InputError: there are none, one could not be told from its neighbours, or they are too long for a module.
    """
    for number, parameter in enumerate(parameters):
        if not _is_word(parameter):
            raise InputError(f"parameters[{number}]: empty, or with a blank or a character that is not printable")
    record = " ".join(parameters)
    if not 0 < len(record.encode()) <= LONGEST_RECORD:
        raise InputError(f"parameters: 1 to {LONGEST_RECORD} bytes together, with a space between any two")
    return record


def _is_word(text: str) -> bool:
    return text != "" and text.isprintable() and " " not in text
