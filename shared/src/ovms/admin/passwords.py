"""Secrets that are typed or piped, never arguments: those everyone on the machine can read."""

import getpass
import sys

from ovms.admin.errors import InputError


def ask_password(whose: str) -> str:
    """Ask for the password of someone or something, as `ask_hidden` does."""
    return ask_hidden(f"password of {whose}")


def ask_hidden(what: str) -> str:
    """Prompt for a secret twice; where standard input is no terminal, take its next line.

    Raises:
        InputError: it is empty, holds a NUL, or the two differ.
    """
    if sys.stdin.isatty():
        secret = getpass.getpass(f"{what[0].upper()}{what[1:]}: ")
        if secret != getpass.getpass("Once more: "):
            raise InputError("the two differ")
    else:
        secret = sys.stdin.readline().rstrip("\r\n")
    if not secret or "\0" in secret:
        raise InputError(f"no {what} on standard input")
    return secret
