"""Notifications."""

from typing import Final

from car_protocol.hub import Peer, Room
from car_protocol.server import Server
from ovms.db.writer import HistoryRow

RECORD_TYPE: Final = "*-Log-Notification"
LARGEST_NUMBER: Final = 65_535

_ERROR: Final = b"E"


def notify(server: Server, room: Room, peer: Peer, message: bytes, now: float) -> None:  # noqa: ARG001
    """`P<type><text>` goes to everybody who watches, as it is, and into the history; it is no state that greets later apps.

    Apps read the history as `<type>,<text>`, the text of an error being its words.
    """
    server.publisher.publish(room, message)
    room.tell_watchers(message, now)
    kind, text = message[1:2], message[2:]
    if not text or server.settings.notification_days <= 0:
        return
    if kind == _ERROR:
        text = server.error_codes.expand(text.decode("utf-8", "replace")).encode()
    wall = int(server.recorder.wall(now))
    server.notifications = (server.notifications + 1) & LARGEST_NUMBER
    row = HistoryRow(
        vehicle=room.vehicle,
        record_type=RECORD_TYPE,
        record_number=server.notifications,
        recorded_at=wall,
        data=kind + b"," + text,
        expires_at=wall + server.settings.notification_days * 86_400,
        ack_code=None,
    )
    server.recorder.put_history(row, None)
