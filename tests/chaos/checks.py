"""The invariants: what must hold whatever has failed, checked over the journal of a run and the evidence after it. Pure.

An excuse is always a fault that the plan made, at the part and the time in question.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Final

from chaos import journal as seen
from chaos.evidence import Counts, Evidence
from chaos.excuses import Excuses
from chaos.journal import Event
from chaos.plan import POSTGRES, REDIS
from chaos.sockets import APP, BATCH, CAR, Socket, of_vehicles, sockets

TAKEOVER: Final = 1.0
"""Seconds within which the former owner of a car closes its session."""
DRAIN: Final = 10.0
"""OVMS_DRAIN_TIMEOUT, the default."""
DRAIN_SLACK: Final = 2.0
"""Seconds that an end takes besides the drain: the interpreter's, on a machine where everything runs at once."""
STREAMED: Final = "SV"
"""The codes whose event says which state it is: the others do not decode to their number."""
KNOWN_FAULTS: Final[Mapping[str, str]] = {}
"""Invariants that do not hold yet, and why: they are reported, and no run fails by them. An entry goes with its fault."""


def state_data(number: int, socket: int, vehicle: str, code: str) -> bytes:
    """What a car sends as a state: it tells all of what it is."""
    return f"{number},{socket},{vehicle},{code}".encode()


def record_data(number: int, vehicle: str) -> bytes:
    """What a car sends as a history record."""
    return f"{number},{vehicle}".encode()


class History:
    """A journal with what several checks look up in it."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self.sockets = sockets(events)
        self.cars = of_vehicles(self.sockets.values(), CAR)
        self.watchers = of_vehicles(self.sockets.values(), APP + BATCH)
        self.streams = {event.stream: event for event in self.of(seen.StreamOpened)}
        self.excuses = Excuses(events)
        self.ends_at = max((event.at for event in events), default=0.0)
        self.settled_at = next((event.at for event in self.of(seen.Settled)), seen.OPEN)
        self.calm_at = next((event.at for event in self.of(seen.Calm)), seen.OPEN)

    def of(self, kind: type[seen.Kind]) -> Iterator[seen.Kind]:
        """The events of one kind, in order."""
        return (event for event in self.events if isinstance(event, kind))

    def received_commands(self) -> Iterator[seen.CommandDelivered | seen.CommandAnswered]:
        """What cars received and what askers were answered."""
        return (event for event in self.events if isinstance(event, seen.CommandDelivered | seen.CommandAnswered))

    def last_states(self) -> dict[tuple[str, str], seen.StateSent]:
        """What each car has sent last, by vehicle and code."""
        return {(self.sockets[event.socket].vehicle, event.code): event for event in self.of(seen.StateSent)}

    def http_watchers(self) -> Counter[str]:
        """HTTP sessions that watch each vehicle at the end."""
        watched: dict[str, set[str]] = {}
        for event in self.events:
            match event:
                case seen.SignedIn(_, caller) | seen.Called(caller=caller, status=401):
                    watched.pop(caller, None)
                case seen.Watching(_, caller, vehicle):
                    watched.setdefault(caller, set()).add(vehicle)
                case _:
                    pass
        return Counter(vehicle for vehicles in watched.values() for vehicle in vehicles)


# ---- what must hold at any time


def commands_are_delivered_once(history: History, _: Evidence) -> Iterator[str]:
    """No command is delivered twice to any car, nor answered twice."""
    where: dict[tuple[str, int], list[str]] = {}
    for event in history.received_commands():
        where.setdefault((type(event).__name__, event.command), []).append(str(history.sockets[event.socket]))
    for (kind, command), at in where.items():
        if len(at) > 1:
            yield f"command {command}: {kind} {len(at)} times, at {', '.join(at)}"


def answers_are_for_who_asked(history: History, _: Evidence) -> Iterator[str]:
    """What is delivered and answered was sent, to this vehicle."""
    sent = {event.command: history.sockets[event.socket].vehicle for event in history.of(seen.CommandSent)}
    for event in history.received_commands():
        if sent.get(event.command) != history.sockets[event.socket].vehicle:
            yield f"command {event.command}: {type(event).__name__} at {history.sockets[event.socket]}, sent to another"


def a_car_has_one_owner(history: History, _: Evidence) -> Iterator[str]:
    """A second after a car has been let in, no older session of it is open."""
    for sessions in history.cars.values():
        for one, other in combinations(sessions, 2):
            older, newer = sorted((one, other), key=lambda socket: socket.welcomed_at)
            both_until = min(older.lost_at, newer.lost_at, history.ends_at)
            limit = history.excuses.extend(
                newer.welcomed_at, TAKEOVER, (REDIS, older.replica, newer.replica), until=history.ends_at
            )
            if both_until > limit:
                yield (
                    f"{older} was open beside {newer} for {both_until - newer.welcomed_at:.1f} s "
                    f"from {newer.welcomed_at:.2f}, until {limit:.2f} was allowed"
                )


def nobody_is_closed_before_the_welcome(history: History, _: Evidence) -> Iterator[str]:
    """No socket that is connected is closed before `MP-S`, but by kill -9 of its replica."""
    for socket in history.sockets.values():
        if not socket.by_server or socket.was_let_in:
            continue
        if not history.excuses.killed(socket.replica, socket.connected_at, socket.lost_at):
            waited = socket.lost_at - socket.connected_at
            yield f"{socket}: {socket.how} at {socket.lost_at:.2f}, {waited:.2f} s after it connected"


def sessions_end_for_a_cause(history: History, _: Evidence) -> Iterator[str]:
    """A session that was let in is closed where its replica ends, or its car logs in again."""
    for socket in history.sockets.values():
        if not (socket.by_server and socket.was_let_in) or history.excuses.ended(socket.replica, socket.lost_at):
            continue
        if not (socket.role == CAR and _logs_in_again(history, socket)):
            yield f"{socket}: {socket.how} at {socket.lost_at:.2f}, let in at {socket.welcomed_at:.2f}"


def _logs_in_again(history: History, socket: Socket) -> bool:
    """Whether another session of the car may be the newer one: each is numbered some time before it is let in."""
    return any(
        other.role == CAR
        and other is not socket
        and other.vehicle == socket.vehicle
        and other.welcomed_at > socket.connected_at
        and other.connected_at <= socket.lost_at
        and (other.was_let_in or _may_be_numbered(history, other, socket))
        for other in history.sockets.values()
    )


def _may_be_numbered(history: History, other: Socket, socket: Socket) -> bool:
    """Whether a login that nobody was told of may have been answered after another's: a replica that hung still has it."""
    came_later = other.connected_at >= socket.connected_at
    return came_later or history.excuses.hung(other.replica, other.connected_at, socket.lost_at)


def apps_hear_in_order(history: History, _: Evidence) -> Iterator[str]:
    """To an app, the states of one car session never go back.

    But where Redis and the car's replica both hung as the app came, so that the car was nowhere: what they held up comes after
    the greeting, and does not say when it was said.
    """
    newest: dict[tuple[int, int, str], int] = {}
    for event in history.of(seen.StateHeard):
        key = (event.socket, event.car, event.code)
        if event.number < newest.get(key, 0) and not _came_while_both_hung(history, event):
            yield f"{history.sockets[event.socket]} heard {event.code} {event.number} of socket {event.car} after {newest[key]}"
        newest[key] = max(newest.get(key, 0), event.number)


def _came_while_both_hung(history: History, heard: seen.StateHeard) -> bool:
    app, car = history.sockets[heard.socket], history.sockets[heard.car]
    return all(history.excuses.hung(part, app.connected_at, heard.at) for part in (REDIS, car.replica))


def stored_states_never_go_back(history: History, _: Evidence) -> Iterator[str]:
    """What a gateway reads is never older than what one has read before."""
    doubled = {event.vehicle for event in history.of(seen.Doubled)}
    reads = [event for event in history.of(seen.StateRead) if event.vehicle not in doubled]
    newest: dict[tuple[str, str], int] = {}
    done = sorted(reads, key=lambda read: read.at)
    for read in sorted(reads, key=lambda read: read.began):
        while done and done[0].at <= read.began:
            former = done.pop(0)
            key = (former.vehicle, former.code)
            newest[key] = max(newest.get(key, 0), former.number)
        if read.number < newest.get((read.vehicle, read.code), 0):
            yield (
                f"{read.vehicle} {read.code}: {read.number} was read at {read.at:.2f}, "
                f"{newest[read.vehicle, read.code]} before that"
            )


def streams_send_in_order(history: History, _: Evidence) -> Iterator[str]:
    """In an event stream the states of a code never go back, not even from one session of the car to the next.

    Two modules of a vehicle have numbers of their own: there this holds within a session.
    """
    doubled = {event.vehicle for event in history.of(seen.Doubled)}
    sessions = {
        (history.sockets[event.socket].vehicle, event.code, event.number): event.socket
        for event in history.of(seen.StateSent)
        if history.sockets[event.socket].vehicle in doubled
    }
    newest: dict[tuple[int, str, str, int | None], int] = {}
    for event in history.of(seen.StateStreamed):
        session = sessions.get((event.vehicle, event.code, event.number))
        key = (event.stream, event.vehicle, event.code, session)
        if event.number < newest.get(key, 0):
            stream = history.streams[event.stream]
            yield f"{stream} sent {event.vehicle} {event.code} {event.number} at {event.at:.2f}, after {newest[key]}"
        newest[key] = max(newest.get(key, 0), event.number)


def streams_end_for_a_cause(history: History, _: Evidence) -> Iterator[str]:
    """An event stream goes on until its gateway ends, or while a store is away with which its reader is checked."""
    excuses = history.excuses
    for event in history.of(seen.StreamEnded):
        stream = history.streams[event.stream]
        if not (excuses.ended(stream.gateway, event.at) or excuses.away((REDIS, POSTGRES), event.at, event.at)):
            yield f"{stream}: {event.how} at {event.at:.2f}"


def calls_are_answered(history: History, _: Evidence) -> Iterator[str]:
    """HTTP answers 200; 401 after Redis has lost the session; 503 with Retry-After in an outage; never 500."""
    signed_in: dict[str, float] = {}
    for event in history.events:
        match event:
            case seen.SignedIn(at, caller):
                signed_in[caller] = at
            case seen.Called() if event.status != 200 and not _is_excused(history, event, signed_in):
                after = "" if event.has_retry_after else " without Retry-After"
                what = f"{event.status}{after}" if event.status else event.how
                yield f"{event.caller} at {event.gateway}: {event.path}: {what} at {event.at:.2f}, called at {event.began:.2f}"
            case _:
                pass


def _is_excused(history: History, call: seen.Called, signed_in: dict[str, float]) -> bool:
    excuses = history.excuses
    match call.status:
        case 0:
            return excuses.ended(call.gateway, call.began) or excuses.ended(call.gateway, call.at)
        case 401:
            return call.caller in signed_in and excuses.emptied(signed_in[call.caller], call.at)
        case 503:
            return call.has_retry_after and excuses.away((REDIS, POSTGRES), call.began, call.at)
        case _:
            return False


def programs_run(history: History, evidence: Evidence) -> Iterator[str]:
    """Programs end when they are asked to, with status 0 and in time, and log no bug."""
    for ended in history.of(seen.Ended):
        yield f"{ended.program}: {ended.how} at {ended.at:.2f}"
    for drained in history.of(seen.Drained):
        if drained.status != 0 or drained.seconds > DRAIN + DRAIN_SLACK:
            yield f"{drained.program}: status {drained.status} after {drained.seconds:.1f} s of drain at {drained.at:.2f}"
    for program, lines in evidence.crashes.items():
        for line in lines:
            yield f"{program} wrote: {line}"


def records_are_kept_once(history: History, evidence: Evidence) -> Iterator[str]:
    """No acknowledged history record is missing, none is there twice, and none is there that no car made."""
    stored = Counter((vehicle, number) for vehicle, number, _ in evidence.records)
    made = {(event.vehicle, event.number) for event in history.of(seen.RecordMade)}
    for event in history.of(seen.RecordAcknowledged):
        if not stored[event.vehicle, event.number]:
            yield f"{event.vehicle}: record {event.number} is missing, acknowledged at {event.at:.2f}"
    for (vehicle, number), count in stored.items():
        if count > 1:
            yield f"{vehicle}: record {number} is there {count} times"
        if (vehicle, number) not in made:
            yield f"{vehicle}: record {number} was made by nobody"
    for vehicle, number, data in evidence.records:
        if data != record_data(number, vehicle):
            yield f"{vehicle}: record {number} holds {data!r}"


# ---- what must come right once all faults have ended


def everybody_is_in_again(history: History, _: Evidence) -> Iterator[str]:
    """After the faults every car and every watcher is connected."""
    if history.settled_at == seen.OPEN:
        missing = [
            f"{role} {vehicle}"
            for role, vehicle in {(socket.role, socket.vehicle): None for socket in history.sockets.values()}
            if not any(
                socket.is_open for socket in history.sockets.values() if (socket.role, socket.vehicle) == (role, vehicle)
            )
        ]
        yield f"not everybody came back: {', '.join(missing) or 'somebody'}"


def records_are_acknowledged(history: History, _: Evidence) -> Iterator[str]:
    """After the faults every record is acknowledged."""
    acknowledged = {(event.vehicle, event.number) for event in history.of(seen.RecordAcknowledged)}
    for event in history.of(seen.RecordMade):
        if not event.leaves and (event.vehicle, event.number) not in acknowledged:
            yield f"{event.vehicle}: record {event.number} of {event.at:.2f} is not acknowledged"


def one_session_is_left(history: History, evidence: Evidence) -> Iterator[str]:
    """At the end every car has one open session, and one replica that says it has it."""
    for vehicle, sessions in history.cars.items():
        still_open = [str(socket) for socket in sessions if socket.is_open]
        if len(still_open) != 1:
            yield f"{vehicle}: {len(still_open)} sessions are open: {', '.join(still_open)}"
        if evidence.owners.get(vehicle) != 1:
            yield f"{vehicle}: {evidence.owners.get(vehicle)} replicas say that they have it"


def last_states_are_stored(history: History, evidence: Evidence) -> Iterator[str]:
    """What a car has sent last, in the session that is still open, is what is stored; else something that it has sent."""
    sent = {(event.code, event.number, event.socket) for event in history.of(seen.StateSent)}
    for (vehicle, code), event in history.last_states().items():
        stored = evidence.states.get((vehicle, code))
        if history.sockets[event.socket].is_open:
            if stored != state_data(event.number, event.socket, vehicle, code):
                sent_last = f"{event.number} on socket {event.socket} at {event.at:.2f}"
                yield f"{vehicle} {code}: stored is {stored!r}, sent was {sent_last}"
        elif stored is not None:
            number, socket = (int(part) for part in stored.split(b",")[:2])
            if (code, number, socket) not in sent:
                yield f"{vehicle} {code}: {stored!r} is stored, and was never sent"


def counts_are_right(history: History, evidence: Evidence) -> Iterator[str]:
    """Gateways, cars and watchers are told how many are connected."""
    http = history.http_watchers()
    told = {event.socket: event.count for event in history.of(seen.Counted)}
    for vehicle, sessions in history.cars.items():
        watchers = [socket for socket in history.watchers.get(vehicle, ()) if socket.is_open]
        cars = [socket for socket in sessions if socket.is_open]
        apps = sum(socket.role == APP for socket in watchers) + http[vehicle]
        truth = Counts(int(bool(cars)), apps, sum(socket.role == BATCH for socket in watchers))
        for gateway, listed in evidence.counts.items():
            if listed.get(vehicle) != truth:
                yield f"{vehicle}: {gateway} lists {listed.get(vehicle)}, {truth} is true"
        for socket, count in [*((car, apps) for car in cars), *((watcher, truth.cars) for watcher in watchers)]:
            if told.get(socket.number) != count:
                yield f"{socket} was told Z{told.get(socket.number)}, Z{count} is true"


def last_states_are_heard(history: History, _: Evidence) -> Iterator[str]:
    """Every app has heard what its car has sent last, in the session that is still open."""
    heard = {(event.socket, event.code): (event.number, event.car) for event in history.of(seen.StateHeard)}
    for (vehicle, code), event in history.last_states().items():
        for watcher in history.watchers.get(vehicle, ()):
            if watcher.is_open and history.sockets[event.socket].is_open:
                found = heard.get((watcher.number, code))
                if found != (event.number, event.socket):
                    yield f"{watcher} heard {code} {found} last, sent was {(event.number, event.socket)} at {event.at:.2f}"


def last_states_are_streamed(history: History, _: Evidence) -> Iterator[str]:
    """Every reader of event streams has received last what a car has sent last, in the session that is still open."""
    streamed = {
        (history.streams[event.stream].owner, event.vehicle, event.code): event.number
        for event in history.of(seen.StateStreamed)
    }
    sent = history.last_states()
    for owner, vehicles in {stream.owner: stream.vehicles for stream in history.streams.values()}.items():
        for vehicle, code in product(vehicles, STREAMED):
            event, found = sent.get((vehicle, code)), streamed.get((owner, vehicle, code))
            if event is not None and history.sockets[event.socket].is_open and found != event.number:
                yield f"{owner} was streamed {vehicle} {code} {found} last, sent was {event.number} at {event.at:.2f}"


def last_commands_are_answered(history: History, _: Evidence) -> Iterator[str]:
    """Every command is answered to who sent it, once Redis has been back for a while: before, it is delivered at most once."""
    answered = {(event.socket, event.command) for event in history.of(seen.CommandAnswered)}
    delivered = {event.command for event in history.of(seen.CommandDelivered)}
    for event in history.of(seen.CommandSent):
        if event.at >= history.calm_at and (event.socket, event.command) not in answered:
            reached = "reached the car" if event.command in delivered else "did not reach the car"
            yield f"{history.sockets[event.socket]}: command {event.command} of {event.at:.2f} has no answer; it {reached}"


Check = Callable[[History, Evidence], Iterator[str]]

ALWAYS: Final[tuple[Check, ...]] = (
    commands_are_delivered_once,
    answers_are_for_who_asked,
    a_car_has_one_owner,
    nobody_is_closed_before_the_welcome,
    sessions_end_for_a_cause,
    apps_hear_in_order,
    stored_states_never_go_back,
    streams_send_in_order,
    streams_end_for_a_cause,
    calls_are_answered,
    programs_run,
    records_are_kept_once,
)
IN_THE_END: Final[tuple[Check, ...]] = (
    everybody_is_in_again,
    records_are_acknowledged,
    one_session_is_left,
    last_states_are_stored,
    counts_are_right,
    last_states_are_heard,
    last_states_are_streamed,
    last_commands_are_answered,
)


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that does not hold, and how that is seen."""

    invariant: str
    detail: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.detail}"


def violations(events: Sequence[Event], evidence: Evidence, checks: Sequence[Check] = ALWAYS + IN_THE_END) -> list[Violation]:
    """Everything that is not as it must be."""
    history = History(events)
    return [Violation(check.__name__.replace("_", " "), detail) for check in checks for detail in check(history, evidence)]
