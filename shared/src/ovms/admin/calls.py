"""The commands that ask a server over its API, in place of its database: `ovms status`, `ovms watch`, `ovms command`."""

import argparse
import getpass
import sys
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from rich.console import Console

from ovms.admin.errors import InputError
from ovms.client import run
from ovms.client.access import find_access
from ovms.client.api import Api

Call: TypeAlias = Callable[[argparse.Namespace, Mapping[str, str]], None]

PIN: Final = "pin"


def status(asked: argparse.Namespace, environment: Mapping[str, str]) -> None:
    with Api(find_access(environment)) as api:
        if asked.vehicle is None:
            run.show_vehicles(api, Console(), as_json=asked.json)
        else:
            run.show_vehicle(api, Console(), asked.vehicle, as_json=asked.json)


def watch(asked: argparse.Namespace, environment: Mapping[str, str]) -> None:
    with Api(find_access(environment)) as api:
        run.watch_vehicle(api, Console(), asked.vehicle)


def command(asked: argparse.Namespace, environment: Mapping[str, str]) -> None:
    arguments = _arguments(asked.arguments)
    access = find_access(environment)
    if asked.pin:
        arguments[PIN] = _ask_pin()
    with Api(access) as api:
        run.give_command(api, Console(), asked.vehicle, asked.kind, arguments, wait=asked.wait, queue=asked.queue)


def _arguments(given: list[str]) -> dict[str, str]:
    arguments = {}
    for one in given:
        name, sign, value = one.partition("=")
        if not name or not sign:
            raise InputError(f"argument {one!r} is not of the form NAME=VALUE")
        if name.lower() == PIN:
            raise InputError("a PIN that is an argument is read by everyone on this machine: give --pin, and it is asked for")
        arguments[name] = value
    return arguments


def _ask_pin() -> str:
    """The PIN, typed unseen; where standard input is no terminal, its next line."""
    return getpass.getpass("PIN: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
