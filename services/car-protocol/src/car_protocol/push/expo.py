"""Notifications to apps made with Expo, whose service passes them on to phones of either kind."""

from typing import Any, Final

import httpx

from car_protocol.push.channel import PATIENCE, DeviceGone, Refused, Unreachable, is_passing, read_retry_after, shorten
from ovms.db.push import Push

PATH: Final = "/--/api/v2/push/send"
LONGEST_TEXT: Final = 3500
"""Bytes: a payload has at most 4,096."""

_OK: Final = 200
_GONE: Final = "DeviceNotRegistered"
_LATER: Final = "MessageRateExceeded"


def write_message(push: Push) -> dict[str, Any]:
    """A message; the app finds its vehicle by `vehicleid`."""
    return {
        "to": push.key,
        "title": f"Open Vehicles {push.vehicle_id}",
        "body": shorten(push.text, LONGEST_TEXT),
        "sound": "default",
        "badge": 0,
        "data": {"vehicleid": push.vehicle_id, "alerttype": push.kind, "sent": int(push.created_at.timestamp())},
    }


class ExpoChannel:
    """Sends messages.

    Args:
        url: of the service, without a path.
        token: of an Expo account that allows pushes with one only.
    """

    timeout = PATIENCE

    def __init__(self, client: httpx.AsyncClient, url: str, token: str | None) -> None:
        self._client = client
        self._url = url + PATH
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def deliver(self, push: Push) -> None:
        """Send it.

        Raises:
            DeliveryError: it is not taken.
        """
        try:
            answer = await self._client.post(self._url, json=write_message(push), headers=self._headers)
        except httpx.HTTPError as error:
            raise Unreachable(f"Expo: {type(error).__name__}") from error
        status = answer.status_code
        if is_passing(status):
            raise Unreachable(f"Expo: {status}", retry_after=read_retry_after(answer.headers.get("Retry-After")))
        if status != _OK:
            raise Refused(f"Expo: {status}")
        _check(_read_ticket(answer))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _read_ticket(answer: httpx.Response) -> dict[str, Any]:
    try:
        ticket = answer.json()["data"]
        return dict(ticket[0] if isinstance(ticket, list) else ticket)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise Unreachable("Expo: an answer without a ticket") from error


def _check(ticket: dict[str, Any]) -> None:
    if ticket.get("status") == "ok":
        return
    details = ticket.get("details")
    code = str(details.get("error", "")) if isinstance(details, dict) else ""
    if code == _GONE:
        raise DeviceGone(f"Expo: {code}")
    raise Unreachable(f"Expo: {code}") if code == _LATER else Refused(f"Expo: {code or 'error'}")
