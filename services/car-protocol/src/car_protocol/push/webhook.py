"""Notifications to web hooks: a signed POST of JSON.

`OVMS-Signature: v1=<hex>` is the HMAC-SHA256, under the operator's secret, of the value of `OVMS-Timestamp` (Unix time of this
attempt), a dot, and the body. A receiver compares it, refuses old times, and knows by `id` what it has had already.
"""

import hashlib
import hmac
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import httpx

from car_protocol.push.addresses import find_address
from car_protocol.push.channel import PATIENCE, DeviceGone, Refused, Unreachable, is_passing, read_retry_after
from ovms.db.push import Push
from ovms.times import write_time

LOOK_UPS: Final = 32
"""Names of web hooks that may be looked up at once."""
_GONE: Final = 410


def write_body(push: Push) -> bytes:
    """The body, as it is signed."""
    content = {
        "id": push.id,
        "vehicleid": push.vehicle_id,
        "type": push.kind,
        "time": write_time(push.created_at),
        "message": push.text,
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """The value of `OVMS-Signature`."""
    return "v1=" + hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class WebhookChannel:
    """Posts to owners' own servers.

    Args:
        client: follows no redirects, uses no proxy and keeps no connections: the address is checked before each.
        wall: the present Unix time.
        allow_private: whether hooks may lead to private addresses, and over HTTP there.
    """

    timeout = PATIENCE

    def __init__(self, client: httpx.AsyncClient, secret: bytes, *, wall: Callable[[], float], allow_private: bool) -> None:
        self._client = client
        self._secret = secret
        self._wall = wall
        self._allow_private = allow_private
        self._threads = ThreadPoolExecutor(LOOK_UPS, thread_name_prefix="web-hook-names")

    async def deliver(self, push: Push) -> None:
        """Post it.

        Raises:
            DeliveryError: it is not taken.
        """
        address = await find_address(push.key, allow_private=self._allow_private, threads=self._threads)
        # To that address, whatever its name leads to by now; the certificate is still that of the name.
        url = httpx.URL(push.key)
        host = {"Host": url.netloc.decode(), "Content-Type": "application/json"}
        body, timestamp = write_body(push), str(int(self._wall()))
        signed = {"OVMS-Timestamp": timestamp, "OVMS-Signature": sign(self._secret, timestamp, body)}
        name = {"sni_hostname": url.raw_host.decode()}
        try:
            async with self._client.stream(
                "POST", url.copy_with(host=address), content=body, headers=host | signed, extensions=name
            ) as answer:
                _check(answer)
        except httpx.HTTPError as error:
            raise Unreachable(f"the web hook: {type(error).__name__}") from error

    async def close(self) -> None:
        """Close the connections, and wait for no look-up."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._client.aclose()


def _check(answer: httpx.Response) -> None:
    status = answer.status_code
    if answer.is_success:
        return
    if status == _GONE:
        raise DeviceGone(f"the web hook: {status}")
    if not is_passing(status):
        raise Refused(f"the web hook: {status}")
    raise Unreachable(f"the web hook: {status}", retry_after=read_retry_after(answer.headers.get("Retry-After")))
