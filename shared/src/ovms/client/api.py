"""The calls of the typed API that the terminal makes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx

from ovms.client.access import Access
from ovms.client.errors import ClientError, Refused, ServerAway, ServerSilent
from ovms.client.stream import Event, read_events

ROOT: Final = "/api/v1/vehicles"
TIMEOUT: Final = 30.0
SILENCE: Final = 60.0
"""Seconds after which a stream without a word is dead: the server sends a comment every 15."""

_NO_SERVER: Final = "what answers is not an OVMS server"
# What a server that is about to stop says, or a proxy in front of one that has.
_TROUBLES: Final = {502: ServerSilent, 503: ServerAway, 504: ServerSilent}


class Api:
    """A server, for the time of a `with` block.

    Every method raises `Refused` where the server refuses, and `ServerAway` where it does not answer.
    """

    def __init__(self, access: Access) -> None:
        self._client = httpx.Client(
            base_url=access.url, headers={"Authorization": f"Bearer {access.token}"}, timeout=TIMEOUT, follow_redirects=False
        )
        self._url = access.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close()

    def vehicles(self) -> list[dict[str, Any]]:
        """The vehicles that the token is for, and who is connected to each."""
        return list(self._call("GET", ROOT)["items"])

    def vehicle(self, vehicle_id: str) -> dict[str, Any]:
        """A vehicle, and who is connected to it."""
        return dict(self._call("GET", _path(vehicle_id)))

    def state(self, vehicle_id: str) -> dict[str, Any]:
        """What a vehicle sent last."""
        return dict(self._call("GET", _path(vehicle_id, "/state")))

    def command(self, vehicle_id: str, kind: str, arguments: dict[str, Any], *, wait: int, queue: bool) -> dict[str, Any]:
        """Tell a vehicle something; what has become of it after so many seconds at most."""
        order = {"kind": kind, "arguments": arguments, "queue": queue}
        return dict(self._call("POST", _path(vehicle_id, "/commands"), order, {"Prefer": f"wait={wait}"}, TIMEOUT + wait))

    def events(self, vehicle_id: str, last_id: str | None) -> Iterator[Event]:
        """What happens to a vehicle, from behind an id; until the server ends it."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
        timeout = httpx.Timeout(TIMEOUT, read=SILENCE)
        with (
            self._answered(),
            self._client.stream("GET", _path(vehicle_id, "/events"), headers=headers, timeout=timeout) as answer,
        ):
            if not answer.is_success:
                answer.read()
                raise _refusal(answer)
            try:
                yield from read_events(answer.iter_lines(), last_id)
            except ValueError:
                raise Refused(_NO_SERVER) from None

    def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> Any:
        with self._answered():
            answer = self._client.request(method, path, json=body, headers=headers, timeout=timeout)
        if not answer.is_success:
            raise _refusal(answer, body)
        return _json(answer)

    @contextmanager
    def _answered(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            is_away = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            trouble = ServerAway if is_away else ServerSilent
            raise trouble(f"{self._url} does not answer: {str(error) or type(error).__name__}") from None


def _path(vehicle_id: str, of: str = "") -> str:
    return f"{ROOT}/{quote(vehicle_id, safe='')}{of}"


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise Refused(_NO_SERVER) from None


def _refusal(answer: httpx.Response, body: Any = None) -> ClientError:
    return _TROUBLES.get(answer.status_code, Refused)(_problem(answer, body))


def _problem(answer: httpx.Response, body: Any) -> str:
    """Return the text of an error response (RFC 9457): a line, and one below it for each invalid field of the request."""
    try:
        problem = answer.json()
        head = f"{problem['title']} ({answer.status_code})"
        if errors := problem.get("errors"):
            return "\n".join([head, *(f"  {_field_error(error, body)}" for error in errors)])
        return f"{head}: {problem['detail']}"
    except (ValueError, TypeError, KeyError, AttributeError):
        return f"the server answers {answer.status_code} {answer.reason_phrase}"


def _field_error(error: Mapping[str, Any], body: Any) -> str:
    """Return the explanation of one invalid field, with the valid value that is nearest to the one sent."""
    name, given = "", body
    for name in error["pointer"].removeprefix("#/").split("/"):
        given = given.get(name) if isinstance(given, dict) else None
    near = get_close_matches(str(given), error.get("choices", ()), n=1)
    return f"{name}: {error['detail']}" + (f"; did you mean {near[0]}?" if near else "")
