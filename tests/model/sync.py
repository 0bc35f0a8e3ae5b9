"""Explore every interleaving of the state synchronization protocol within small bounds, and check its invariants.

One vehicle with two record codes, two replicas that may have its car (0 and 1), one watcher in another process, Redis pub/sub,
and PostgreSQL that is written with a delay. The watcher is a real `ovms.sync.View`; the rest is modelled. Faults: the watcher's
subscription is lost, a publisher's connection breaks (what was in flight is lost, or Redis executes it later, after what the
next connection has sent), a publisher drops a message, a replica crashes before it has flushed, Redis restarts empty, the car
moves to another replica, also while Redis is down, and a replica that hung reads a last message from the socket of a car that
has moved.

Every message of the car gets a version; `log` keeps all of them. The invariants are those of `ovms.sync.view`:

  monotonic   the versions that the watcher delivers of one code increase (W1)
  prefix      the view is LIVE at (e, s): of each code the newest version of session e up to number s was delivered, or a later
              one (W2)
  converged   whenever nothing is left to happen (no message queued, nothing unwritten, no retry due) the newest version of
              each code in PostgreSQL was delivered, or a later one (W3)

    python -m model.sync                                            small bounds, some seconds
    python -m model.sync --messages 2 --faults 2                    larger: minutes
    python -m model.sync --without checks                           one part left out: finds a counterexample
    python -m model.sync --walks 20000 --messages 6 --faults 4 --late 2    random interleavings, larger still
"""

import argparse
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final, NamedTuple, TypeAlias

from ovms.sync import NO_VERSION, Answer, Deliver, Effect, Phase, Row, Version, View

CODES: Final = b"SL"
NOTHING: Final = (NO_VERSION,) * len(CODES)

Versions: TypeAlias = tuple[Version, ...]
"""One for each code."""


class Replica(NamedTuple):
    alive: bool = True
    session: int = 0
    number: int = 0
    connected: bool = False
    """It considers the car connected to it."""
    unwritten: Versions = NOTHING
    """The newest version of each code that PostgreSQL has not got yet."""
    lost: bool = False
    """Something was dropped, or may have been lost on the way to Redis; its position is not published yet."""
    old: tuple[Any, ...] = ()
    """What Redis has still to execute of a former connection."""
    new: tuple[Any, ...] = ()
    """And of the present one."""


class Watcher(NamedTuple):
    """A view as a value, and what its caller knows."""

    subscribed: bool = False
    phase: Phase = Phase.UNSUBSCRIBED
    position: Version = NO_VERSION
    session: int = 0
    run: tuple[int, int, int] = (0, 0, 0)
    is_repeated: bool = False
    delivered: Versions = NOTHING
    asked: int = -1
    request: int = 0
    """Is compared for equality only."""
    read: Versions | None = None
    """What PostgreSQL had at the question, where a mutant reads it too early."""
    checks: int = 0


class State(NamedTuple):
    replicas: tuple[Replica, ...] = (Replica(), Replica())
    watcher: Watcher = Watcher()
    presence: tuple[int, int, bool] = (0, -1, False)
    """The newest session that Redis knows, its replica, whether it is connected."""
    rows: Versions = NOTHING
    car: int = -1
    """The replica that the car is connected to."""
    top: int = 0
    """The greatest session so far."""
    log: tuple[tuple[Version, int], ...] = ()
    messages: int = 0
    """That the car may still send."""
    faults: int = 0
    late: int = 0
    """Messages that may still be read from a dead socket."""


class Broken(Exception):
    """An invariant does not hold."""


Step: TypeAlias = tuple[str, State]


# ---- views with a part left out


class Unfiltered(View):
    """Delivers rows whatever their version."""

    __slots__ = ()

    def _keep(self, row: Row) -> Row | None:
        self.rows[row.message[0]] = row
        return row


class Sparse(View):
    """Takes a jump in the numbers for the next one."""

    __slots__ = ()

    def _advance(self, version: Version, effects: list[Effect]) -> None:
        if version.session == self.position.session and version > self.position:
            self.position = Version(version.session, version.number - 1)
        if version.session == self._run[0] and version.number > self._run[2]:
            self._run = (*self._run[:2], version.number - 1)
        super()._advance(version, effects)

    def receive_position(self, version: Version) -> list[Effect]:
        return (
            super().receive_position(min(version, self.position))
            if version.session == self.position.session
            else (super().receive_position(version))
        )

    def _catch_up(self, effects: list[Effect]) -> None:
        session, first, last = self._run
        if session == self.position.session:
            self._run = session, min(first, self.position.number + 1), last
        super()._catch_up(effects)


@dataclass(frozen=True)
class Model:
    """The protocol, or a variant of it."""

    view: type[View] = View
    checks: bool = True
    """The view is checked periodically."""
    unwritten: bool = True
    """The answer contains what is not written."""
    reads_last: bool = True
    """PostgreSQL is read after the answer has arrived."""
    local: bool = False
    """The watcher is at replica 1, which the car may connect to."""
    _views: dict[Any, Any] = field(default_factory=dict, compare=False)

    # ---- what can happen

    def steps(self, s: State) -> Iterator[Step]:
        """Everything that the protocol may do next."""
        for i, replica in enumerate(s.replicas):
            yield from self._executed(s, i, replica)
            if not replica.alive:
                if s.presence[1] == i:
                    yield f"lease of {i} ends", self._publish_presence(s._replace(presence=(0, -1, False)))
                continue
            yield from self._of_replica(s, i, replica)
        yield from self._of_watcher(s)

    def _executed(self, s: State, i: int, replica: Replica) -> Iterator[Step]:
        for which in ("old", "new"):
            if queue := getattr(replica, which):
                t = _with(s, i, replica._replace(**{which: queue[1:]}))
                if t.watcher.subscribed:
                    t = self._watch(t, *queue[0])
                yield f"Redis executes {queue[0]} of {i} ({which})", t

    def _of_replica(self, s: State, i: int, replica: Replica) -> Iterator[Step]:
        if replica.unwritten != NOTHING:
            rows = tuple(map(max, s.rows, replica.unwritten))
            yield f"{i} flushes", _with(s, i, replica._replace(unwritten=NOTHING))._replace(rows=rows)
        if replica.connected and s.car != i and s.presence[0] > replica.session:
            yield f"{i} gives way", self._disconnected(_with(s, i, replica._replace(connected=False)), i)
        if replica.connected and s.car == i and s.presence[0] < replica.session:
            yield f"{i} announces", self._publish_presence(s._replace(presence=(replica.session, i, True)))
        if replica.lost:
            position = ("receive_position", Version(replica.session, replica.number))
            yield f"{i} publishes its position", _with(s, i, replica._replace(lost=False, new=(*replica.new, position)))

    def world(self, s: State) -> Iterator[Step]:
        """Messages of the car, and faults."""
        for i, replica in enumerate(s.replicas):
            if not (replica.alive and replica.connected):
                continue
            for c, code in enumerate(CODES):
                if s.messages and s.car == i:
                    t = s._replace(messages=s.messages - 1)
                    yield f"car sends {code:c} to {i}", self._send(t, i, c)
                    if s.faults:
                        yield (
                            f"car sends {code:c} to {i}, dropped",
                            self._send(t._replace(faults=s.faults - 1), i, c, drop=True),
                        )
                if s.late and s.car != i:
                    yield f"{i} reads {code:c} from a dead socket", self._send(s._replace(late=s.late - 1), i, c)
        if s.faults:
            yield from self._faults(s._replace(faults=s.faults - 1))

    def _faults(self, s: State) -> Iterator[Step]:
        for i, replica in enumerate(s.replicas):
            if not replica.alive:
                continue
            if replica.new:
                broken = replica._replace(new=(), lost=True)
                yield f"connection of {i} breaks, in flight lost", _with(s, i, broken)
                if not replica.old:
                    yield f"connection of {i} breaks, in flight executed later", _with(s, i, broken._replace(old=replica.new))
            if replica.session and not (self.local and i == 1):
                crashed = Replica(alive=False, old=replica.old, new=replica.new)
                yield f"{i} crashes", _with(s, i, crashed)._replace(car=-1 if s.car == i else s.car)
            if s.car != i:
                yield f"car moves to {i}", self._connected(s, i, announced=True)
                yield f"car moves to {i} without Redis", self._connected(s, i, announced=False)
        if s.car >= 0:
            yield "car disconnects", self._car_disconnects(s)
        if s.watcher.subscribed:
            t = self._watch(s, "unsubscribed")
            t = t._replace(watcher=t.watcher._replace(subscribed=False))
            yield "subscription lost", t
            replicas = tuple(r._replace(old=(), new=(), lost=r.alive and (r.lost or bool(r.new))) for r in s.replicas)
            yield "Redis restarts empty", t._replace(replicas=replicas, presence=(0, -1, False))

    # ---- the car and its replicas

    def _send(self, s: State, i: int, c: int, *, drop: bool = False) -> State:
        replica = s.replicas[i]
        version = Version(replica.session, replica.number + 1)
        message = ("receive_state", _row(c, version))
        unwritten = tuple(version if k == c else other for k, other in enumerate(replica.unwritten))
        new = replica.new if drop else (*replica.new, message)
        sent = replica._replace(number=version.number, unwritten=unwritten, new=new, lost=replica.lost or drop)
        s = _with(s, i, sent)._replace(log=(*s.log, (version, c)))
        return self._watch(s, *message) if self._is_local(s, i) else s

    def _connected(self, s: State, i: int, *, announced: bool) -> State:
        session, replica = s.top + 1, s.replicas[i]
        s = _with(s, i, replica._replace(session=session, number=0, connected=True))._replace(car=i, top=session)
        if self._is_local(s, i):
            s = self._watch(s, "car_connected", Version(session, 0), "", _rows(replica.unwritten))
            s = s._replace(watcher=s.watcher._replace(subscribed=False))
        return self._publish_presence(s._replace(presence=(session, i, True))) if announced else s

    def _is_local(self, s: State, i: int) -> bool:
        return self.local and i == 1 and s.replicas[i].connected

    def _disconnected(self, s: State, i: int) -> State:
        return self._watch(s, "car_disconnected") if self.local and i == 1 else s

    def _car_disconnects(self, s: State) -> State:
        i, replica = s.car, s.replicas[s.car]
        s = self._disconnected(_with(s, i, replica._replace(connected=False))._replace(car=-1), i)
        if s.presence[:2] != (replica.session, i):
            return s
        return self._publish_presence(s._replace(presence=(*s.presence[:2], False)))

    def _publish_presence(self, s: State) -> State:
        return self._watch(s, "receive_presence", s.presence[0] if s.presence[2] else 0) if s.watcher.subscribed else s

    # ---- the watcher

    def _of_watcher(self, s: State) -> Iterator[Step]:
        w = s.watcher
        if w.phase is Phase.UNSUBSCRIBED:
            t = self._watch(s, "subscribed")
            yield "subscribes", t._replace(watcher=t.watcher._replace(subscribed=True))
        elif w.phase is Phase.LOCATING:
            session, i, connected = s.presence
            if self.local and i == 1:  # it had the car last; its own answer needs no message
                t = self._watch(s, "located", w.request, "1", 0)
                t = self._watch(t, "answered", t.watcher.request, Answer(NO_VERSION, "", _rows(s.replicas[1].unwritten)))
            else:
                t = self._watch(s, "located", w.request, str(i) if i >= 0 else "", session if connected else 0)
                t = t._replace(watcher=t.watcher._replace(asked=i, read=None if self.reads_last else s.rows))
            yield f"locates {i}", t
        elif w.phase is Phase.ASKING:
            yield from self._of_question(s, w)
        elif w.phase in (Phase.READING, Phase.LOCAL_READING):
            yield f"reads PostgreSQL {s.rows}", self._watch(s, "stored", w.request, _rows(w.read or s.rows))

    def _of_question(self, s: State, w: Watcher) -> Iterator[Step]:
        i, replica = w.asked, s.replicas[w.asked]
        queues = [queue for each in s.replicas for queue in (each.old, each.new)]
        if any(item[0] == "answered" and item[1] == w.request for queue in queues for item in queue):
            return
        if replica.alive:
            position = Version(replica.session, replica.number) if replica.connected else NO_VERSION
            answer = Answer(position, "", _rows(replica.unwritten) if self.unwritten else ())
            yield f"{i} answers {answer}", _with(s, i, replica._replace(new=(*replica.new, ("answered", w.request, answer))))
        if not replica.alive or s.presence[1] != i:
            yield "no answer in time", self._watch(s, "timed_out", w.request)

    def _watch(self, s: State, event: str, *arguments: Any) -> State:
        """Give the view an event; equal views take equal events to equal views."""
        key = s.watcher, event, arguments
        if key not in self._views:
            self._views[key] = self._take(*key)
        if isinstance(after := self._views[key], Broken):
            raise after
        return s._replace(watcher=after)

    def _take(self, w: Watcher, event: str, arguments: Sequence[Any]) -> Watcher | Broken:
        view = _view_of(w, self.view)
        delivered = list(w.delivered)
        for effect in getattr(view, event)(*arguments):
            for row in effect.rows if isinstance(effect, Deliver) else ():
                c = CODES.index(row.message[0])
                if row.version <= delivered[c]:
                    return Broken(f"monotonic: {row.message!r} {row.version} is delivered after {delivered[c]}")
                delivered[c] = row.version
        return _watcher_of(w, view, tuple(delivered))

    def check_periodically(self, s: State) -> State | None:
        """The periodic check of a view that nothing else will change; None: it was checked, or is not."""
        if not self.checks or s.watcher.checks:
            return None
        before = s.watcher.phase
        s = self._watch(s, "check")
        return None if s.watcher.phase is before else s._replace(watcher=s.watcher._replace(checks=1))

    # ---- the invariants

    def verify(self, s: State, *, is_quiet: bool) -> None:
        """Check a state.

        Raises:
            Broken: it violates an invariant.
        """
        w = s.watcher
        if w.phase in (Phase.LIVE, Phase.LOCAL):
            for version, c in s.log:
                is_covered = version.session == w.position.session and version <= w.position
                if is_covered and w.delivered[c] < version and _survives(s, version, c):
                    raise Broken(f"prefix: LIVE at {w.position}, {CODES[c]:c} {version} was not delivered ({w.delivered[c]})")
        if is_quiet:
            for code, stored, delivered in zip(CODES, s.rows, w.delivered, strict=True):
                if delivered < stored:
                    raise Broken(f"converged: {code:c} {stored} is stored, and {delivered} was delivered")


def _with(s: State, i: int, replica: Replica) -> State:
    return s._replace(replicas=(replica, s.replicas[1]) if i == 0 else (s.replicas[0], replica))


def _row(c: int, version: Version) -> Row:
    return Row(CODES[c : c + 1], 0.0, None, version)


def _rows(versions: Versions) -> tuple[Row, ...]:
    return tuple(_row(c, version) for c, version in enumerate(versions) if version != NO_VERSION)


def _survives(s: State, version: Version, c: int) -> bool:
    """Whether it, or a later one of its code, still exists: what a crash took before it was written is lost to all."""
    return s.rows[c] >= version or any(r.alive and r.unwritten[c] >= version for r in s.replicas)


def _view_of(w: Watcher, kind: type[View]) -> View:
    view = kind()
    view.phase, view.position, view._session = w.phase, w.position, w.session
    view._run, view._is_repeated, view._request = w.run, w.is_repeated, w.request
    view._numbers = count(w.request + 1)
    view.rows = {row.message[0]: row for row in _rows(w.delivered)}
    return view


def _watcher_of(w: Watcher, view: View, delivered: Versions) -> Watcher:
    is_asking, is_open = view.phase is Phase.ASKING, view.phase in (Phase.LOCATING, Phase.ASKING, Phase.READING)
    return w._replace(
        phase=view.phase,
        position=view.position,
        session=view._session,
        # What no event reads before it is written again is forgotten, so that equal views are one.
        run=view._run if is_asking else (0, 0, 0),
        is_repeated=view._is_repeated and is_open,
        delivered=delivered,
        asked=w.asked if is_asking else -1,
        request=view._request,
        read=w.read if view.phase is Phase.READING or is_asking else None,
    )


def canonical(s: State) -> State:
    """Number the open request 1, and forget answers to others."""
    request = s.watcher.request if s.watcher.phase is Phase.ASKING else 0

    def renumbered(queue: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple((x[0], 1, *x[2:]) if x[0] == "answered" else x for x in queue if x[0] != "answered" or x[1] == request)

    replicas = tuple(
        r if not (r.old or r.new) else r._replace(old=renumbered(r.old), new=renumbered(r.new)) for r in s.replicas
    )
    return s._replace(replicas=replicas, watcher=s.watcher._replace(request=min(1, s.watcher.request)))


# ---- exploration


class Bounds(NamedTuple):
    """How much may happen in a run."""

    messages: int = 2
    faults: int = 1
    late: int = 0

    def start(self, model: Model) -> State:
        """The car is connected to replica 0, and nobody watches yet."""
        start = State(messages=self.messages, faults=self.faults, late=self.late)
        return canonical(model._connected(start, 0, announced=True))


class Result(NamedTuple):
    """What an exploration found."""

    states: int
    steps: int
    quiet: int
    """States in which nothing is left to happen."""
    broken: str = ""
    trace: Sequence[str] = ()
    is_whole: bool = True


def explore(model: Model, bounds: Bounds, limit: int = 3_000_000) -> Result:
    """Visit every state within the bounds, the nearest first, up to a counterexample or the limit."""
    start = bounds.start(model)
    seen: dict[State, tuple[State, str] | None] = {start: None}
    queue = deque([start])
    edges = quiet = 0
    s = start
    try:
        while queue:
            s = queue.popleft()
            steps = list(model.steps(s))
            if is_quiet := not steps:
                quiet += 1
                if (checked := model.check_periodically(s)) is not None:
                    steps, is_quiet = [("periodic check", checked)], False
            model.verify(s, is_quiet=is_quiet)
            for name, t in (*steps, *map(_uncheck, model.world(s))):
                edges += 1
                after = canonical(t)
                if after not in seen:
                    seen[after] = s, name
                    queue.append(after)
            if len(seen) > limit:
                return Result(len(seen), edges, quiet, is_whole=False)
    except Broken as broken:
        return Result(len(seen), edges, quiet, str(broken), _trace(seen, s))
    return Result(len(seen), edges, quiet)


def _uncheck(step: Step) -> Step:
    name, s = step
    return (name, s._replace(watcher=s.watcher._replace(checks=0))) if s.watcher.checks else step


def _trace(seen: Mapping[State, tuple[State, str] | None], s: State) -> list[str]:
    names = []
    while (before := seen[s]) is not None:
        s, name = before
        names.append(name)
    return names[::-1]


def walk(model: Model, bounds: Bounds, walks: int, seed: int) -> Result:
    """Take random interleavings; steps of the protocol are three times as likely as those of the world."""
    dice = random.Random(seed)
    edges = quiet = 0
    for _ in range(walks):
        s, names = bounds.start(model), list[str]()
        model._views.clear()
        try:
            while True:
                steps, world = list(model.steps(s)), list(map(_uncheck, model.world(s)))
                if not steps:
                    quiet += 1
                    if (checked := model.check_periodically(s)) is not None:
                        s = canonical(checked)
                        names.append("periodic check")
                        continue
                model.verify(s, is_quiet=not steps)
                if not steps and not world:
                    break
                name, s = dice.choice(world if world and (not steps or dice.random() < 0.25) else steps)
                s = canonical(s)
                names.append(name)
                edges += 1
        except Broken as broken:
            return Result(0, edges, quiet, str(broken), names, is_whole=False)
    return Result(0, edges, quiet, is_whole=False)


VARIANTS: Final[Mapping[str, Callable[..., Model]]] = {
    "checks": lambda **given: Model(checks=False, **given),
    "dense": lambda **given: Model(Sparse, **given),
    "filter": lambda **given: Model(Unfiltered, **given),
    "unwritten": lambda **given: Model(unwritten=False, **given),
    "order": lambda **given: Model(reads_last=False, **given),
}
"""The model with one part left out."""


def main() -> None:
    """Explore what the arguments say, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--without", choices=VARIANTS, help="leave a part out")
    parser.add_argument("--local", action="store_true", help="put the watcher at replica 1, which the car may connect to")
    parser.add_argument("--messages", type=int, default=2)
    parser.add_argument("--faults", type=int, default=1)
    parser.add_argument("--late", type=int, default=0)
    parser.add_argument("--limit", type=int, default=3_000_000)
    parser.add_argument("--walks", type=int, default=0, help="random interleavings instead of all")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    model = VARIANTS[given.without](local=given.local) if given.without else Model(local=given.local)
    bounds = Bounds(given.messages, given.faults, given.late)
    began = time.monotonic()
    result = walk(model, bounds, given.walks, given.seed) if given.walks else explore(model, bounds, given.limit)
    verdict = "COUNTEREXAMPLE" if result.broken else "holds"
    counts = f"{result.states} states, {result.steps} steps, {result.quiet} quiet"
    print(f"{verdict}{'' if result.is_whole else ', not complete'}: {counts}, {time.monotonic() - began:.0f} s, {bounds}")
    for line in (result.broken, *(f"{number:2} {name}" for number, name in enumerate(result.trace, 1))):
        print(f"    {line}")
    sys.exit(bool(result.broken))


if __name__ == "__main__":
    main()
