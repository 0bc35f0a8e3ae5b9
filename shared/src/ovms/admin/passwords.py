"""Passwords that are typed or piped, never arguments: those everyone on the machine can read."""

import getpass
import sys

from ovms.admin.errors import InputError


def ask_password(whose: str) -> str:
    """Prompt for a password twice; where standard input is no terminal, take its first line.

    Raises:
        InputError: it is empty, holds a NUL, or the two differ.
    """
    if sys.stdin.isatty():
        password = getpass.getpass(f"Password of {whose}: ")
        if password != getpass.getpass("Once more: "):
            raise InputError("the two passwords differ")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password or "\0" in password:
        raise InputError(f"no password of {whose} on standard input")
    return password
