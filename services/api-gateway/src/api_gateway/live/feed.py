"""One vehicle while it has readers here: its state, who is connected to it, and its commands.

`ovms.sync.View` decides which states are delivered: it compares versions, so no state goes back, whichever of the channel,
the car's replica and PostgreSQL it comes from. The view lasts as long as the feed: a reader that joins later is served at once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol

import orjson

from api_gateway.live import events
from api_gateway.live.events import Event, Told
from api_gateway.live.inbox import Inbox
from api_gateway.live.newest import Newest
from api_gateway.live.said import Key, Notification, Position, Said, State, read_said
from api_gateway.v1.records import LOCATED
from ovms.auth.rights import HISTORY, LOCATION, READ, SCOPES
from ovms.bus.channels import commands_channel, messages_channel, peers_channel
from ovms.bus.presence import Peers, Present, present_of
from ovms.bus.replicas import Written
from ovms.bus.subscriptions import Listener
from ovms.db.logins import StoredMessage
from ovms.identity import VehicleName
from ovms.records import RECORDS, DistanceUnit
from ovms.records import State as StateRecord
from ovms.records.logs import without_positions
from ovms.sync import NO_VERSION, Answer, Ask, Deliver, DeliverToken, Effect, Locate, Missed, Read, Row, Snapshot, Version, View

OVERLAP: Final = 180.0
"""Seconds before the time that a reader knows of, of which he is told again: clocks differ, and what was heard of nobody is
found when all is read anew."""
CLOCK_STEP: Final = 60_000_000
"""Microseconds; what is told of a time before is taken for news after Redis' clock was set back."""

_STATE: Final = "S"

Rights = frozenset[str]
"""The scopes that a reader has of a vehicle."""


class _Reader(NamedTuple):
    rights: Rights
    known_until: float | None
    """Unix time until which he knows the vehicle's state; None: he knows nothing of it."""


class Channels(Protocol):
    """Where channels are heard."""

    def hear(self, channel: bytes, listener: Listener) -> None:
        """Call a listener for a channel."""

    def leave(self, channel: bytes) -> None:
        """Hear it no more."""


class Requests(Protocol):
    """Carries out what a feed's view requests, and calls the feed with the result and the number of the request."""

    def locate(self, feed: "Feed", request: int) -> None:
        """Read presence; call `located` or `unavailable`."""

    def ask(self, feed: "Feed", request: int, replica: str) -> None:
        """Ask a replica for what it has not committed; call `answered` or `timed_out`."""

    def read(self, feed: "Feed", request: int) -> None:
        """Read the stored messages; call `stored` or `unavailable`."""

    def expect(self, feed: "Feed") -> None:
        """Call `overdue` in a second."""


class Feed:
    """A vehicle and its readers.

    Args:
        clock: Unix time.
    """

    def __init__(self, vehicle: int, vehicle_id: str, requests: Requests, clock: Callable[[], float]) -> None:
        self.vehicle = vehicle
        self.vehicle_id = vehicle_id
        self.name = VehicleName(vehicle_id, vehicle)
        self._requests = requests
        self._clock = clock
        self._readers: dict[Inbox, _Reader] = {}
        self._view = View()
        self._newest: dict[str, Newest] = {}
        """What readers are shown of the view, by code."""
        self._units: DistanceUnit | None = None
        self._token = ""
        self._present = Present()
        self._peers: Peers | None = None
        self._subscribed_to: set[bytes] = set()
        self.read_at = clock()
        """When the view was complete last."""
        self.may_locate_at = 0.0
        """By the clock of the loop that carries out its requests."""
        self._is_loaded = False
        """It has had a snapshot: a reader that joins is served at once."""

    # ---- its readers

    @property
    def is_watched(self) -> bool:
        """Whether it has a reader."""
        return bool(self._readers)

    def join(self, inbox: Inbox, rights: Rights, known_until: float | None) -> None:
        """Tell a reader the newest of everything, and then what changes; all anew where he may see other things than before.

        Args:
            known_until: the Unix time until which he knows its state already, where he does.
        """
        if (former := self._readers.get(inbox)) is not None:
            if former.rights == rights:
                return
            inbox.forget(self.vehicle)
            known_until = None
        reader = self._readers[inbox] = _Reader(rights, known_until)
        if self._is_loaded:
            self._tell_all(inbox, reader)
        else:
            inbox.await_load(self.vehicle)

    def leave(self, inbox: Inbox) -> None:
        """Tell a reader no more."""
        if self._readers.pop(inbox, None) is not None:
            inbox.loaded(self.vehicle)
            inbox.forget(self.vehicle)

    def leave_all(self) -> None:
        """Deliver to no reader any longer."""
        for inbox in list(self._readers):
            self.leave(inbox)

    def _tell_all(self, inbox: Inbox, reader: _Reader) -> None:
        since = None if reader.known_until is None else reader.known_until - OVERLAP
        for code, newest in self._newest.items():
            if scope_of(code) in reader.rights and (since is None or newest.received_at > since):
                inbox.put(self.vehicle, code, newest, None)
        if self._peers is not None:
            inbox.put(self.vehicle, events.PRESENCE, events.presence(self.vehicle_id, self._peers), None)

    # ---- its channels

    def listen(self, channels: Channels) -> None:
        """Join its channels."""
        self._requests.expect(self)
        for channel, heard in self._channels():
            channels.hear(channel, Listener(heard, partial(self._subscribed, channel)))

    def leave_channels(self, channels: Channels) -> None:
        """Hear nothing more."""
        for channel, _ in self._channels():
            channels.leave(channel)

    def _channels(self) -> list[tuple[bytes, Callable[[bytes], None]]]:
        makers = (
            (messages_channel, self.heard_message),
            (peers_channel, self.heard_peers),
            (commands_channel, self.heard_command),
        )
        return [(channel_of(self.name).encode(), heard) for channel_of, heard in makers]

    def _subscribed(self, channel: bytes) -> None:
        if channel in self._subscribed_to:
            self._subscribed_to.clear()  # Redis was unavailable, and all channels are subscribed to again
        self._subscribed_to.add(channel)
        if len(self._subscribed_to) == len(self._channels()):
            self._carry_out(self._view.subscribed())

    def _miss(self) -> None:
        for inbox in self._readers:
            inbox.miss(self.read_at)

    def heard_message(self, body: bytes) -> None:
        """Take a message of the messages channel.

        Raises:
            ValueError: it is malformed.
        """
        version, said = read_said(body)
        if isinstance(said, Notification):
            self._notify(said.kind, said.text)
        if version != NO_VERSION:
            self._carry_out(self._receive(version, said))

    def _receive(self, version: Version, said: Said) -> Sequence[Effect]:
        match said:
            case State(code, data, is_sealed):
                # The key of a message on the channel is the one that `ET` has named there before.
                key = "" if is_sealed else None
                return self._view.receive_state(Row(code.encode("latin-1") + data, self._clock(), key, version))
            case Key(token):
                return self._view.receive_token(version, token)
            case Position():
                return self._view.receive_position(version)
            case _:
                return self._view.receive_other(version)

    def heard_peers(self, body: bytes) -> None:
        """Take a message of the peers channel."""
        self._update_presence(present_of(body))
        session, _ = _find_car(self._present)
        self._carry_out(self._view.receive_presence(session))

    def heard_command(self, body: bytes) -> None:
        """Something on the commands channel; a command is shown to those who have the scope that it names.

        Raises:
            ValueError: it is no command.
        """
        told = orjson.loads(body)
        if not isinstance(told, dict) or (scope := told.get("scope")) not in SCOPES:
            raise ValueError("no command")
        self._add(Event(events.COMMAND, events.to_json(told)), scope, self._clock())

    def _update_presence(self, present: Present) -> None:
        if self._present.at - CLOCK_STEP < present.at < self._present.at:
            return
        self._present = present
        if (peers := present.peers()) != self._peers:
            self._peers = peers
            self._tell(events.PRESENCE, events.presence(self.vehicle_id, peers), READ)

    # ---- results of requests

    def located(self, request: int, present: Present) -> None:
        """Go on with who is connected."""
        self._update_presence(present)
        session, replica = _find_car(self._present)
        self._carry_out(self._view.located(request, replica or present.owner, session))

    def answered(self, request: int, written: Written) -> None:
        """Go on with what a replica has not committed."""
        rows = tuple(
            Row(kept.message, kept.received_at, kept.sealed_with, Version(kept.session, kept.number))
            for kept in written.messages
        )
        position = Version(written.session, written.number) if written.session else NO_VERSION
        self._carry_out(self._view.answered(request, Answer(position, written.paranoid_token or "", rows)))

    def timed_out(self, request: int) -> None:
        """Go on without the answer of a replica."""
        self._carry_out(self._view.timed_out(request))

    def stored(self, request: int, messages: Mapping[int, StoredMessage]) -> None:
        """Go on with what PostgreSQL has."""
        rows = [
            Row(kept.message, kept.received_at, kept.sealed_with, Version(kept.epoch, kept.number))
            for kept in messages.values()
        ]
        self._carry_out(self._view.stored(request, rows))

    def unavailable(self, request: int) -> None:
        """Repeat a request, or another one: Redis or PostgreSQL has not executed it."""
        self._carry_out(self._view.unavailable(request))

    def overdue(self) -> None:
        """Serve readers that have waited for a second with what there is."""
        if not self._is_loaded:
            self._carry_out(self._view.overdue())

    def check(self) -> None:
        """Look for what was lost without a sign of it."""
        self._carry_out(self._view.check())

    def _carry_out(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:  # no car connects to this process, so there is no `Subscribe` and no `Unsubscribe`
                case Deliver(rows):
                    self._deliver(rows)
                case DeliverToken(token):
                    self._change_key(token)
                case Snapshot(is_provisional):
                    self._complete(is_provisional=is_provisional)
                case Missed():
                    self._miss()
                case Locate(request):
                    self._requests.locate(self, request)
                case Ask(request, replica):
                    self._requests.ask(self, request, replica)
                case Read(request):
                    self._requests.read(self, request)

    def _deliver(self, rows: Iterable[Row]) -> None:
        for row in rows:
            code, is_sealed = chr(row.message[0]), row.encrypted_with is not None
            if is_sealed or code in RECORDS:
                changed = self._keep(code, row.message[1:], row.received_at, is_sealed=is_sealed)
                if self._is_loaded:
                    self._tell_states(changed)

    def _change_key(self, token: str) -> None:
        if token != self._token:
            self._token = token
            self._newest = {code: newest for code, newest in self._newest.items() if not newest.is_sealed}
            self._deliver(row for row in self._view.shown() if row.encrypted_with is not None)

    def _complete(self, *, is_provisional: bool) -> None:
        if not is_provisional:
            self.read_at = self._clock()
        if self._is_loaded:
            return
        self._is_loaded = True
        for inbox, reader in self._readers.items():
            self._tell_all(inbox, reader)
            inbox.loaded(self.vehicle)

    def _keep(self, code: str, message: bytes, received_at: float, *, is_sealed: bool) -> Iterable[str]:
        """Keep a message as the newest of its code; the codes of the events that are others now."""
        newest = Newest(self.vehicle_id, code, message, received_at, self._units, is_sealed=is_sealed)
        self._newest[code] = newest
        if code != _STATE or is_sealed:
            return (code,)
        assert isinstance(newest.record, StateRecord)
        if newest.record.units == self._units:
            return (code,)
        self._units = newest.record.units
        self._newest = {each: former.measured_in(self._units) for each, former in self._newest.items()}
        return self._newest

    # ---- telling

    def _tell_states(self, codes: Iterable[str]) -> None:
        for code in codes:
            self._tell(code, self._newest[code], scope_of(code))

    def _tell(self, what: str, event: Told, scope: str) -> None:
        now = self._clock()
        for inbox in self._readers_with(scope):
            inbox.put(self.vehicle, what, event, now)

    def _add(self, event: Told, scope: str, now: float) -> None:
        for inbox in self._readers_with(scope):
            inbox.add(self.vehicle, event, now)

    def _notify(self, kind: str, text: str) -> None:
        """Tell a notification; where the vehicle is, which some texts say, only to those with the scope for that."""
        now = self._clock()
        whole = events.notification(self.vehicle_id, kind, text, now)
        less = events.notification(self.vehicle_id, kind, without_positions(text), now)
        for inbox in self._readers_with(HISTORY):
            inbox.add(self.vehicle, whole if LOCATION in self._readers[inbox].rights else less, now)

    def _readers_with(self, scope: str) -> Iterable[Inbox]:
        return [inbox for inbox, reader in self._readers.items() if scope in reader.rights]


def _find_car(present: Present) -> tuple[int, str]:
    """Return the car's session, 0 where it is not connected, and the replica that has the car or had it last and lives."""
    session, replica = max(((connected.session, name) for name, connected in present.replicas.items()), default=(0, ""))
    return (session, replica) if session else (0, present.owner)


def scope_of(code: str) -> str:
    """The scope that a record is shown to."""
    return LOCATION if code in LOCATED else READ
