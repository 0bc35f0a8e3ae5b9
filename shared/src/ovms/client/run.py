"""What `ovms status`, `ovms watch` and `ovms command` do."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console
from rich.live import Live

from ovms.client.api import Api
from ovms.client.errors import NotDone, NotDoneYet, ServerAway, ServerSilent
from ovms.client.shown import plain, vehicle_view, vehicles_table
from ovms.client.stream import Event
from ovms.client.watched import Watched

AGAIN_AFTER: Final = 2.0
"""Seconds until a stream that has ended is asked for again."""

_UNFINISHED: Final = ("queued", "sent", "unknown")


def show_vehicles(api: Api, console: Console, *, as_json: bool) -> None:
    """Show all vehicles, and who is connected to each."""
    found = api.vehicles()
    console.print_json(data=found) if as_json else console.print(vehicles_table(found))


def show_vehicle(api: Api, console: Console, vehicle_id: str, *, as_json: bool) -> None:
    """Show a vehicle and what it sent last."""
    vehicle, state = api.vehicle(vehicle_id), api.state(vehicle_id)
    if as_json:
        console.print_json(data=vehicle | state)
        return
    records = {reading["code"]: reading for reading in state["records"].values()}
    sealed = [message["code"] for message in state["sealed"]]
    console.print(vehicle_view(vehicle, records, sealed, datetime.now(UTC)))


def give_command(
    api: Api, console: Console, vehicle_id: str, kind: str, arguments: dict[str, Any], *, wait: int, queue: bool
) -> None:
    """Tell a vehicle something, and show what it says.

    Raises:
        NotDone: it has not done it.
        NotDoneYet: what became of it is not known.
    """
    try:
        command = api.command(vehicle_id, kind, arguments, wait=wait, queue=queue)
    except ServerSilent as error:
        raise NotDoneYet(f"{kind}: {error}") from None
    state, words = command["state"], plain(command["text"] or "").plain
    told = f"{kind} {state}" + (f": {words}" if words else "")
    if state in _UNFINISHED:
        raise NotDoneYet(f"{told} (command {command['id']})")
    if state != "succeeded":
        raise NotDone(told)
    console.print(plain(told))


def watch_vehicle(api: Api, console: Console, vehicle_id: str, *, pause: Callable[[float], None] = time.sleep) -> None:
    """Show what happens to a vehicle until Ctrl-C: in a table; where there is no terminal, in a line of JSON an event."""
    if not console.is_terminal:
        _follow(api, vehicle_id, lambda event: _write(console, event), lambda _: None, pause)
        return
    watched = Watched(api.vehicle(vehicle_id)["id"], lambda: datetime.now(UTC))

    def trouble(text: str) -> None:
        watched.trouble = text

    with Live(get_renderable=watched.render, console=console, refresh_per_second=4):
        _follow(api, vehicle_id, watched.take, trouble, pause)


def _follow(
    api: Api, vehicle_id: str, take: Callable[[Event], None], trouble: Callable[[str], None], pause: Callable[[float], None]
) -> None:
    """Take all events; a stream that ends is asked for again, from where it ended."""
    last_id: str | None = None
    has_begun = False
    while True:
        try:
            for event in api.events(vehicle_id, last_id):
                last_id, has_begun = event.last_id, True
                trouble("")
                take(event)
        except ServerAway as error:
            if not has_begun:
                raise
            trouble(str(error))
        pause(AGAIN_AFTER)


def _write(console: Console, event: Event) -> None:
    console.file.write(json.dumps({"event": event.kind, "data": event.data}) + "\n")
    console.file.flush()
