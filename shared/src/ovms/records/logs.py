"""History records, of which the server knows little: what their types tell, and notifications among them."""

import re
from enum import StrEnum
from typing import Final, NamedTuple

NOTIFICATIONS: Final = "*-Log-Notification"

# Logs of trips and charges begin with the position, others have it anywhere, and modules make new ones: a type that is not
# known to be free of positions may have them.
_NOWHERE: Final = frozenset(
    {
        "*-OVM-Utilisation",
        "*-OVM-DebugCrash",
        "*-OVM-DebugTasks",
        "*-LOG-PollStats",
        "RT-PWR-BattCell",
        "RT-PWR-BattPack",
        "RT-PWR-UsageStats",
        # State messages, which are records of their code.
        "D",
        "F",
        "S",
        "V",
        "W",
        "Y",
    }
)

# Firmware: an alert about a car that moves while it is parked has "(@%0.6f,%0.6f)". Nothing else is told so exactly.
_COORDINATE: Final = re.compile(r"[-+]?\d{1,3}\.\d{4,}")
WITHHELD: Final = "…"


class NotificationKind(StrEnum):
    """What a notification is; `other` is none that the protocol knows."""

    ALERT = "alert"
    INFO = "info"
    ERROR = "error"
    DATA = "data"
    OTHER = "other"


_KINDS: Final = {
    "A": NotificationKind.ALERT,
    "I": NotificationKind.INFO,
    "E": NotificationKind.ERROR,
    "U": NotificationKind.DATA,
}


class Notification(NamedTuple):
    """What a car told its owner."""

    kind: NotificationKind
    text: str


def tells_where(record_type: str) -> bool:
    """Whether records of this type may tell where a car was."""
    return record_type not in _NOWHERE


def read_notification(data: str) -> Notification:
    """The notification in a history record, `<type>,<text>`; its lines end in LF, where the wire has CR."""
    kind, _, text = data.partition(",")
    return Notification(_KINDS.get(kind, NotificationKind.OTHER), text.replace("\r\n", "\n").replace("\r", "\n"))


def without_positions(text: str) -> str:
    """A text in which every number that may be a coordinate is left out."""
    return _COORDINATE.sub(WITHHELD, text)
