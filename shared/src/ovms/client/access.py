"""Where the server is and which token opens it: from the environment, the token else from a file that only its owner reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ovms.client.errors import AccessError

URL: Final = "OVMS_API_URL"
TOKEN: Final = "OVMS_API_TOKEN"  # noqa: S105  (the name of the variable)
TOKEN_FILE: Final = "OVMS_API_TOKEN_FILE"  # noqa: S105  (the name of the variable)

DEFAULT_URL: Final = "http://127.0.0.1:6868"
DEFAULT_FILE: Final = ".config/ovms/token"

_OF_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class Access:
    """A server, and a token for it."""

    url: str
    token: str = field(repr=False)


def find_access(environment: Mapping[str, str]) -> Access:
    """What the environment says.

    Raises:
        AccessError: the address is none, or there is no token.
    """
    return Access(_url(environment.get(URL) or DEFAULT_URL), environment.get(TOKEN) or _from_file(environment))


def _url(given: str) -> str:
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AccessError(f"{URL} is no http or https address")
    if parts.username or parts.password:
        raise AccessError(f"{URL} holds a password: give a token in {TOKEN} or in a file")
    return given.rstrip("/")


def _from_file(environment: Mapping[str, str]) -> str:
    path = Path(environment.get(TOKEN_FILE) or Path(environment.get("HOME") or ".") / DEFAULT_FILE)
    try:
        if path.stat().st_mode & _OF_OTHERS:
            raise AccessError(f"{path} can be read by others: chmod 600 {path}")
        token = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise AccessError(f"no token in {TOKEN}, and none in {path}: {error.strerror}") from None
    if not token:
        raise AccessError(f"{path} holds no token")
    return token
