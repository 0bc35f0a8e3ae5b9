"""Secrets that are typed or piped, never arguments: those everyone on the machine can read."""

import getpass
import sys
from collections.abc import Callable

from ovms.account_rules import TextRule
from ovms.admin.errors import AdminError, InputError
from ovms.errors import IdentityError


def ask_password(whose: str, rule: TextRule) -> str:
    """Ask for the new password of an owner or a vehicle, as `ask_hidden` does.

    Raises:
        InputError: as `ask_hidden`, or the rule rejects it.
    """
    return checked(rule.check, ask_hidden(f"password of {whose}"))


def checked(check: Callable[[str], str], text: str) -> str:
    """Return a text that a rule accepts.

    Raises:
        InputError: the rule rejects it.
    """
    try:
        return check(text)
    except IdentityError as error:
        raise InputError(str(error)) from None


def confirm_removal(what: str, *, is_confirmed: bool) -> None:
    """Ask on the terminal before something is removed, unless `--yes` was given.

    Raises:
        InputError: standard input is not a terminal.
        AdminError: the answer is not yes.
    """
    if is_confirmed:
        return
    if not sys.stdin.isatty():
        raise InputError(f"standard input is not a terminal, so nobody can confirm the removal of {what}: add --yes")
    if input(f"Remove {what}? This cannot be undone. [y/N] ").strip().lower() not in ("y", "yes"):
        raise AdminError("nothing was removed")


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
