"""Notifications to iPhones: Apple Push Notification service, HTTP/2, with a signing key."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from car_protocol.push.channel import PATIENCE, DeviceGone, Refused, Unreachable, is_passing, read_retry_after, shorten
from ovms.db.push import Push

LONGEST_TEXT: Final = 3500
"""Bytes: a payload has at most 4,096."""

_DAY: Final = 86_400
_OK: Final = 200
_GONE: Final = 410
_RENEW_AFTER: Final = 40 * 60
"""Seconds. Apple takes a token for an hour, and no more than one new one in 20 minutes."""
_OUR_TOKEN: Final = frozenset(("ExpiredProviderToken", "InvalidProviderToken", "MissingProviderToken"))


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key of an Apple developer's team."""

    key_id: str
    team_id: str
    private_key: EllipticCurvePrivateKey = field(repr=False)


def write_payload(push: Push) -> dict[str, Any]:
    """What the phone shows: the vehicle's id, and under it the text."""
    text = shorten(push.text, LONGEST_TEXT)
    return {"aps": {"alert": f"{push.vehicle_id}\n{text}", "badge": 0, "sound": "default"}}


class ApnsChannel:
    """Sends alerts.

    Args:
        client: speaks HTTP/2.
        url: of the service, without a path.
        topic: the app's bundle id.
        wall: the present Unix time.
    """

    timeout = PATIENCE

    def __init__(self, client: httpx.AsyncClient, key: SigningKey, *, url: str, topic: str, wall: Callable[[], float]) -> None:
        self._client = client
        self._key = key
        self._url = url
        self._topic = topic
        self._wall = wall
        self._token = ""
        self._token_from = float("-inf")

    async def deliver(self, push: Push) -> None:
        """Send it.

        Raises:
            DeliveryError: it is not taken.
        """
        headers = {
            "authorization": f"bearer {self._provider_token()}",
            "apns-topic": self._topic,
            "apns-push-type": "alert",
            "apns-priority": "10",
            "apns-expiration": str(int(push.created_at.timestamp()) + _DAY),
        }
        try:
            answer = await self._client.post(f"{self._url}/3/device/{push.key}", json=write_payload(push), headers=headers)
        except httpx.HTTPError as error:
            raise Unreachable(f"APNs: {type(error).__name__}") from error
        if answer.status_code != _OK:
            self._fail(answer)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _fail(self, answer: httpx.Response) -> None:
        status, reason = answer.status_code, _read_reason(answer)
        if status == _GONE:
            raise DeviceGone(f"APNs: {reason}")
        if reason in _OUR_TOKEN:
            self._token_from = float("-inf")
        elif not is_passing(status):
            raise Refused(f"APNs: {status} {reason}")
        raise Unreachable(f"APNs: {status} {reason}", retry_after=read_retry_after(answer.headers.get("retry-after")))

    def _provider_token(self) -> str:
        now = self._wall()
        if now - self._token_from > _RENEW_AFTER:
            claims = {"iss": self._key.team_id, "iat": int(now)}
            self._token = jwt.encode(claims, self._key.private_key, algorithm="ES256", headers={"kid": self._key.key_id})
            self._token_from = now
        return self._token


def _read_reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["reason"])
    except (ValueError, KeyError, TypeError):
        return ""
