"""What is read of a request for a command, or refused. Pure."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import orjson

from api_gateway.commands.kinds import KINDS
from api_gateway.commands.service import Order
from api_gateway.errors import InvalidArgument
from api_gateway.v1.errors import InvalidRequest

DEFAULT_TTL: Final = 60
MOST_TTL: Final = 7 * 24 * 3600
MOST_WAIT: Final = 60
DEFAULT_LIMIT: Final = 50
MOST_LIMIT: Final = 200
ARGUMENTS: Final = frozenset(argument.name for kind in KINDS.values() for argument in kind.arguments)

_KEY: Final = re.compile(r"[!-~]{1,255}")
# RFC 7240, 2: preferences with commas between, their parameters behind semicolons. Of several the first one holds.
_WAIT: Final = re.compile(r'(?:^|,)\s*wait\s*=\s*"?([0-9]{1,9})"?\s*(?=[,;]|$)', re.IGNORECASE)


def read_order(body: bytes) -> Order:
    """What the body of a request asks for.

    Raises:
        InvalidArgument: something is missing or impossible; says what, and never its value.
    """
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        given = None
    if not isinstance(given, dict) or not given.keys() <= {"kind", "arguments", "ttl", "queue"}:
        raise InvalidArgument("", "a JSON object of kind, arguments, ttl and queue")
    name, arguments = given.get("kind"), given.get("arguments", {})
    if not isinstance(name, str) or (kind := KINDS.get(name)) is None:
        raise InvalidArgument("kind", "one of " + ", ".join(KINDS), KINDS)
    if not isinstance(arguments, dict):
        raise InvalidArgument("arguments", "an object")
    waits = given.get("queue", False)
    if not isinstance(waits, bool):
        raise InvalidArgument("queue", "true or false")
    return Order(kind, kind.read_json(arguments), _ttl(given.get("ttl", DEFAULT_TTL)), waits)


def _ttl(given: Any) -> int:
    is_whole = type(given) is int or (isinstance(given, float) and given.is_integer())
    if not is_whole or not 1 <= given <= MOST_TTL:
        raise InvalidArgument("ttl", f"whole seconds from 1 to {MOST_TTL}")
    return int(given)


def read_key(headers: Mapping[str, str]) -> str | None:
    """The idempotency key.

    Raises:
        InvalidArgument: it is impossible.
    """
    key = headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidArgument("Idempotency-Key", "1 to 255 visible characters of ASCII")
    return key


def read_wait(headers: Mapping[str, str]) -> int | None:
    """The seconds that the caller prefers to wait, as far as they are granted; a preference that is none is ignored."""
    found = _WAIT.search(headers.get("prefer", ""))
    return None if found is None else min(int(found[1]), MOST_WAIT)


def read_number(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    """A number of the query.

    Raises:
        InvalidArgument: it is none, or too large.
    """
    given = query.get(name)
    if given is None:
        return default
    if not re.fullmatch("[0-9]{1,18}", given) or not 1 <= int(given) <= most:
        raise InvalidArgument(name, f"a whole number from 1 to {most}")
    return int(given)


@contextmanager
def telling_which(place: str) -> Iterator[None]:
    """Refuse as the typed API does, where something below a place of the request is missing or impossible."""
    try:
        yield
    except InvalidArgument as error:
        within = "/arguments" if error.name in ARGUMENTS else ""
        fault: dict[str, Any] = {
            "pointer": f"{place}{within}/{error.name}".removesuffix("/"),
            "detail": f"It must be {error.wanted}",
        }
        if error.choices:
            fault["choices"] = error.choices
        raise InvalidRequest(fault) from None
