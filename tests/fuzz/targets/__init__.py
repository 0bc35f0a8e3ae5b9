"""One function a parser: it takes any bytes at all, and raises where something is wrong with what the parser made of them.

A target is imported when it is run, and not before, so that atheris can count its branches.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Final

Target = Callable[[bytes], None]

# How much of the time each gets.
WEIGHTS: Final = {
    "lines": 1,
    "server_session": 3,
    "client_session": 1,
    "records": 2,
    "views": 1,
    "websocket": 3,
    "edge_websocket": 1,
    "room": 5,
    "error_codes": 1,
    "times": 1,
    "channels": 1,
    "confirmation": 1,
    "forms": 1,
    "heads": 1,
}


def load(name: str) -> Target:
    """The function of a target."""
    target: Target = import_module(f"fuzz.targets.{name}").check
    return target
