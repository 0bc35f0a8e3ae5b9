"""What delivers notifications of one push type, and how that may fail.

DeliveryError
├── DeviceGone      who subscribed is no more: the subscription ends
├── Refused         this notification will never be taken: it is dropped
└── Unreachable     not now: it is tried again
"""

import json
from typing import Final, Protocol

from ovms.db.push import Push
from ovms.errors import OvmsError

TOO_MANY_REQUESTS: Final = 429


class DeliveryError(OvmsError):
    """A notification is not delivered; the message says why and names neither device nor key."""


class DeviceGone(DeliveryError):
    """Who subscribed is no more."""


class Refused(DeliveryError):
    """The service will never take this notification."""


class Unreachable(DeliveryError):
    """The service does not take it now."""

    def __init__(self, reason: str, *, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        """Seconds that the service asks to be left alone."""


PATIENCE: Final = 5.0
"""Seconds that a push service or a web hook has for its whole answer."""


class Channel(Protocol):
    """A way to deliver notifications."""

    timeout: float
    """Seconds that one delivery may take."""

    async def deliver(self, push: Push) -> None:
        """Deliver one.

        Raises:
            DeliveryError: it is not delivered.
        """

    async def close(self) -> None:
        """Let go of connections."""


def is_passing(status: int) -> bool:
    """Whether an HTTP status says that the same request may succeed later."""
    return status in (408, 425, TOO_MANY_REQUESTS) or status >= 500


def read_retry_after(header: str | None) -> float:
    """The seconds of a `Retry-After`; a date, which none of these services sends, is as good as none."""
    return float(header) if header is not None and header.isascii() and header.isdigit() else 0.0


def shorten(text: str, most: int) -> str:
    """As much of a text as takes at most so many bytes in JSON: phones' services bound the whole message."""
    while (size := len(json.dumps(text, ensure_ascii=False).encode())) > most:
        text = text[: len(text) * most // size - 1] + "…" if len(text) > 1 else ""
    return text
