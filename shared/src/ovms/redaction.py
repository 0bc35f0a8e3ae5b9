"""What of a log line is shown: secrets, positions and addresses are masked, who is spoken of gets another name.

By the names of a line's fields, and in all texts by known shapes: what a library says of an error may hold anything.
"""

import re
from collections.abc import Callable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, Final, Literal

MASK: Final = "***"
DEEPEST: Final = 5

# fmt: off
_SECRET: Final = frozenset({
    "authorization", "cookie", "credential", "credentials", "data", "digest", "email", "key", "keys", "lat", "latitude",
    "location", "lon", "longitude", "mail", "passphrase", "passwd", "password", "passwords", "pin", "position", "secret",
    "secrets", "token", "tokens",
})
_WHO: Final = frozenset({"app", "apps", "owner", "owners", "user", "users", "vehicle", "vehicles"})
# Written by this project alone, from words of its own.
_PLAIN: Final = frozenset({
    "level", "logger", "method", "ms", "request_id", "route", "service", "session", "status", "timestamp",
})
# fmt: on

_NAMED: Final = (
    r"\b(?:[a-z]+_)?(?:password|passwd|passphrase|secret|token|api_?key|pin|cookie|ovmsapisession|authorization"
    r"|latitude|longitude|lat|lon)"
)
# Each pattern is read in linear time: where it can start, it either consumes what it has read or has read a bounded part.
_USER_INFO: Final = re.compile(r"://[^\s@'\"]*@?")  # of a URL
_SHAPES: Final = re.compile(
    "|".join(
        (
            rf"(?P<named>(?i:{_NAMED})[\"']?\s*[=:]\s*[\"']?)(?:(?i:basic|bearer)\s+)?[^\s&\"',;)}}]+",
            r"(?P<scheme>\b(?:[Bb]asic|BASIC|[Bb]earer|BEARER)\s+)[A-Za-z0-9+/_.~=-]{8,}",
            r"(?P<welcome>\b[MA]P-[A-Z0-9] )[^\r\n\"']+",  # a login's line, with a password in scheme 1
            r"(?P<detail>\bDETAIL:\s+)[^\r\n]+",  # PostgreSQL tells the row there
            r"(?P<channel>\bovms:\{)(?P<id>[^}]{0,256})(?=\})",
            r"\b[0-9a-f]{64}\b",  # an API token
            r"(?<![\w+/-])[A-Za-z0-9_-]{43}(?![\w+/=-])",  # the id of an HTTP session
            r"(?<![\w+/-])[A-Za-z0-9+/]{43}=",  # a key for secrets at rest
            r"(?<![\d.])[+-]?\d{1,3}\.\d{3,}\s*[,;]\s*[+-]?\d{1,3}\.\d{3,}",  # a position
        )
    )
)
_MAIL_ADDRESS: Final = re.compile(r"(?<![\w.+%-])[\w.+%-]+@[\w-]+(?:\.[\w-]+)+(?:[\w.+%@-]*[\w@])?")
# What all of them have something of, found in a tenth of the time.
_SUSPECT: Final = re.compile(r"[:=@{0-9]|earer|asic|EARER|ASIC|[AM]P-|[\w-]{43}")


class Redactor:
    """A processor of structlog, behind all others but the one that writes.

    Args:
        rename: the name that lines have for a vehicle, an app or a user, the same one in all of them; None: his own.
    """

    def __init__(self, rename: Callable[[str], str] | None) -> None:
        self._rename = rename or str

    def __call__(self, _logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """A line as it is written."""
        for name in line.keys() - _PLAIN:
            line[name] = self._field(name, line[name], 0)
        return line

    def text(self, text: str) -> str:
        """A text without what has a known shape."""
        if not _SUSPECT.search(text):
            return text
        return _MAIL_ADDRESS.sub(MASK, _SHAPES.sub(self._masked, _USER_INFO.sub(_without_user_info, text)))

    def _field(self, name: str, value: Any, depth: int) -> Any:
        match _kind(name):
            case "secret":
                return value if value is None else MASK
            case "who":
                return self._who(value)
            case _:
                return self._value(value, depth)

    def _who(self, value: Any) -> Any:
        if isinstance(value, (bytes, str)):
            return self._rename(value if isinstance(value, str) else value.decode(errors="replace"))
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self._who(one) for one in value]
        # A number: how many, or a row of the database.
        return value if value is None or isinstance(value, int) else MASK

    def _value(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, (int, float)):
            return value
        if isinstance(value, Mapping) and depth < DEEPEST:
            return {str(name): self._field(str(name), one, depth + 1) for name, one in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)) and depth < DEEPEST:
            return [self._value(one, depth + 1) for one in value]
        return self.text(value if isinstance(value, str) else str(value))

    def _masked(self, found: re.Match[str]) -> str:
        kept = found[found.lastgroup] if found.lastgroup not in (None, "id") else ""
        return found["channel"] + self._rename(found["id"]) if found["channel"] else kept + MASK


def _without_user_info(found: re.Match[str]) -> str:
    return f"://{MASK}@" if found[0].endswith("@") else found[0]


@lru_cache(maxsize=256)
def _kind(name: str) -> Literal["secret", "who", "value"]:
    words = re.split(r"[^a-z0-9]+", name.lower())
    if not _SECRET.isdisjoint(words):
        return "secret"
    return "value" if _WHO.isdisjoint(words) else "who"
