"""What a view asks its caller to do, as small records."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ovms.sync.versions import Row


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Subscribe to the vehicle's messages channel, and call `View.subscribed`."""


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Unsubscribe from it: the car is connected to this replica."""


@dataclass(frozen=True, slots=True)
class Locate:
    """Read presence, at once, but at most once a second for each view; then call `View.located` or `View.unavailable`.

    It replaces one that the caller has put off. All questions and reads of a view follow from it, so this limits them as well.
    """

    request: int


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a replica for what it has not committed; call `View.answered`, and `View.timed_out` after a second without answer."""

    request: int
    replica: str


@dataclass(frozen=True, slots=True)
class Read:
    """Read the vehicle's rows in PostgreSQL; then call `View.stored` or, half a second later, `View.unavailable`."""

    request: int


@dataclass(frozen=True, slots=True)
class Deliver:
    """Send rows to every watcher that has had its initial snapshot, in this order."""

    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class DeliverToken:
    """Send the token of the car's key to every watcher that has had its initial snapshot."""

    token: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Send `View.shown` as the initial snapshot to every watcher that waits for it."""

    is_provisional: bool = False
    """There may be newer rows, which are delivered later; no row does not mean that the car has never sent one."""


@dataclass(frozen=True, slots=True)
class Missed:
    """Messages may have been lost: states are fetched, notifications and answers to commands are not."""


Effect: TypeAlias = Subscribe | Unsubscribe | Locate | Ask | Read | Deliver | DeliverToken | Snapshot | Missed
