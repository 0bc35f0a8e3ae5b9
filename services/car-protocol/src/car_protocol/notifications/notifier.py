"""Notifications, the cars' and this server's own: into the history, and on the way to who subscribed for them."""

import secrets
from collections.abc import Callable
from typing import Final

from car_protocol.notifications.error_codes import ErrorCodes
from ovms.db.writer import NotificationRow

LARGEST_NUMBER: Final = 65_535

_ERROR: Final = b"E"
_DEBUG: Final = b": DMC:"
"""In the text of an error that is for developers: the reference keeps it and pushes it to nobody."""


class Notifier:
    """Makes rows of notifications.

    Args:
        put: takes the rows.
        wall: makes Unix time of the time of a message.
        days: for which they are kept in the history; 0: they are pushed only.
        error_codes: the words for the cars' error codes.
    """

    def __init__(
        self, put: Callable[[NotificationRow], None], wall: Callable[[float], float], *, days: int, error_codes: ErrorCodes
    ) -> None:
        self._put = put
        self._wall = wall
        self._kept_for = days * 86_400
        self._error_codes = error_codes
        # Counts up, so that two notifications of one second are two records; another replica counts from elsewhere.
        self._number = secrets.randbelow(LARGEST_NUMBER)

    def notify(self, vehicle: int, message: bytes, now: float) -> None:
        """Keep and push `<type><text>`; apps read the history as `<type>,<text>`, the text of an error being its words."""
        kind, text = message[:1], message[1:]
        if not text:
            return
        if kind == _ERROR:
            text = self._error_codes.expand(text.decode("utf-8", "replace")).encode()
        wall = int(self._wall(now))
        self._number = (self._number + 1) & LARGEST_NUMBER
        self._put(
            NotificationRow(
                vehicle=vehicle,
                record_number=self._number,
                notified_at=wall,
                message=kind + text,
                expires_at=wall + self._kept_for if self._kept_for > 0 else None,
                is_pushed=not (kind == _ERROR and _DEBUG in text),
            )
        )
