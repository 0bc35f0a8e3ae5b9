"""Notifications to Android phones: Firebase Cloud Messaging, HTTP v1.

The Android app shows a data message whose `title` is its vehicle's id exactly, whose `time` is UTC, and whose `type` is the
first letter of the notification.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from car_protocol.push.channel import PATIENCE, DeviceGone, Refused, Unreachable, is_passing, read_retry_after, shorten
from car_protocol.push.keys import read_rsa_key
from ovms.db.push import Push
from ovms.times import write_time

SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LONGEST_TEXT: Final = 3500
"""Bytes: a message has at most 4,096."""

_LIFETIME: Final = 3600
_EARLY: Final = 300
_OK: Final = 200
_UNAUTHORIZED: Final = 401
_GONE: Final = frozenset(("UNREGISTERED", "SENDER_ID_MISMATCH"))


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A Google service account, from the file that the console gives."""

    project: str
    email: str
    key_id: str
    private_key: RSAPrivateKey = field(repr=False)
    token_url: str

    @classmethod
    def load(cls, path: Path) -> "ServiceAccount":
        """Read the file.

        Raises:
            OSError: it cannot be read.
            ValueError: it is not such a file.
        """
        content = json.loads(path.read_text("utf-8"))
        try:
            return cls(
                project=str(content["project_id"]),
                email=str(content["client_email"]),
                key_id=str(content["private_key_id"]),
                private_key=read_rsa_key(str(content["private_key"])),
                token_url=str(content["token_uri"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError("something is missing") from error


def write_message(push: Push) -> dict[str, Any]:
    """The body of a request."""
    data = {
        "type": push.kind,
        "time": write_time(push.created_at),
        "title": push.vehicle_id,
        "message": shorten(push.text, LONGEST_TEXT),
    }
    return {"message": {"token": push.key, "data": data}}


class FcmChannel:
    """Sends data messages.

    Args:
        url: of the service, without a path.
        wall: the present Unix time.
    """

    timeout = PATIENCE

    def __init__(self, client: httpx.AsyncClient, account: ServiceAccount, url: str, wall: Callable[[], float]) -> None:
        self._client = client
        self._account = account
        self._url = f"{url}/v1/projects/{account.project}/messages:send"
        self._wall = wall
        self._token = ""
        self._token_until = 0.0
        self._fetching = asyncio.Lock()

    async def deliver(self, push: Push) -> None:
        """Send it.

        Raises:
            DeliveryError: it is not taken.
        """
        try:
            token = await self._access_token()
            headers = {"Authorization": f"Bearer {token}"}
            answer = await self._client.post(self._url, json=write_message(push), headers=headers)
        except httpx.HTTPError as error:
            raise Unreachable(f"FCM: {type(error).__name__}") from error
        if answer.status_code == _UNAUTHORIZED and token == self._token:
            self._token_until = 0.0
        if answer.status_code != _OK:
            _fail(answer)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _access_token(self) -> str:
        async with self._fetching:  # once, however many messages find that there is none
            now = self._wall()
            if now >= self._token_until:
                self._token, lifetime = await self._fetch_token(int(now))
                self._token_until = now + lifetime - _EARLY
            return self._token

    async def _fetch_token(self, now: int) -> tuple[str, float]:
        """Swap a signed assertion for an access token (RFC 7523)."""
        account = self._account
        claims = {"iss": account.email, "scope": SCOPE, "aud": account.token_url, "iat": now, "exp": now + _LIFETIME}
        assertion = jwt.encode(claims, account.private_key, algorithm="RS256", headers={"kid": account.key_id})
        answer = await self._client.post(account.token_url, data={"grant_type": GRANT, "assertion": assertion})
        if answer.status_code != _OK:
            raise Unreachable(f"FCM: no access token ({answer.status_code})")
        try:
            content = answer.json()
            return str(content["access_token"]), float(content["expires_in"])
        except (ValueError, KeyError, TypeError) as error:
            raise Unreachable("FCM: no access token in the answer") from error


def _fail(answer: httpx.Response) -> NoReturn:
    status, code, message = answer.status_code, *_read_error(answer)
    if code in _GONE or (code == "INVALID_ARGUMENT" and "registration token" in message):
        raise DeviceGone(f"FCM: {code}")
    if status != _UNAUTHORIZED and not is_passing(status):
        raise Refused(f"FCM: {status} {code}")
    raise Unreachable(f"FCM: {status} {code}", retry_after=read_retry_after(answer.headers.get("Retry-After")))


def _read_error(answer: httpx.Response) -> tuple[str, str]:
    """The code and the message of an error; of the codes that of FCM, where there is one."""
    try:
        error = answer.json()["error"]
        codes = [detail["errorCode"] for detail in error.get("details", ()) if "errorCode" in detail]
        return str((codes or [error.get("status", "")])[0]), str(error.get("message", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", ""
