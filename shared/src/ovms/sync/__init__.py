"""State synchronization, pure: versions, and the view of a vehicle that both services keep for its watchers."""

from ovms.sync.effects import Ask, Deliver, DeliverToken, Effect, Locate, Missed, Read, Snapshot, Subscribe, Unsubscribe
from ovms.sync.transitions import TRANSITIONS, Event, Phase
from ovms.sync.versions import NO_VERSION, Answer, Row, Version, display_order
from ovms.sync.view import View

__all__ = [
    "NO_VERSION",
    "TRANSITIONS",
    "Answer",
    "Ask",
    "Deliver",
    "DeliverToken",
    "Effect",
    "Event",
    "Locate",
    "Missed",
    "Phase",
    "Read",
    "Row",
    "Snapshot",
    "Subscribe",
    "Unsubscribe",
    "Version",
    "View",
    "display_order",
]
