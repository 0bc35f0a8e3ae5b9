"""The interface over Redis as an AsyncAPI document, from its declaration: `python -m ovms.bus.document [file]`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ovms.bus.declaration import Body, Channel, Service
from ovms.bus.interface import CHANNELS, VERSION
from ovms.bus.yaml import write_yaml

HEAD: Final = (
    "# Made by `python -m ovms.bus.document docs/asyncapi.yaml` from the declaration in `ovms.bus.interface`. Do not edit.\n"
)

DESCRIPTION: Final = """\
What the replicas of the OVMS server tell each other and other programs, over channels of Redis pub/sub. A body is
bytes; where it is no JSON, it is written here in Latin-1, in which every byte is one character.

Channels with the tag `public` are for every program, and stable: JSON objects may get further members, and cars may
say what is not known yet; a change that a subscriber has to follow has a new first number of the version. The
others, and what is marked `x-internal`, are between replicas and may change with any version. Only the server
publishes on any of them.

**Names are of a vehicle, not of its id.** In the name of a vehicle's channel the id, in upper case, stands in braces,
followed by the vehicle's number: `ovms:{DEMO}:17:messages`. The braces are part of the name, a hash tag. The number
is `vehicles.id` in PostgreSQL. When a vehicle is removed and its id is given to another one, that one has another
number, so a subscriber to exact names receives nothing of it.

A program that knows only the id can subscribe to a pattern: `PSUBSCRIBE ovms:{DEMO}:*:messages`. It then receives
what every vehicle publishes that has or had this id, and Redis compares the pattern with every publication. Use
exact names for more than a few vehicles.

**At most once.** Nothing is kept for who was not subscribed, or was too slow; Redis closes the connection of a
subscriber that does not read. What a car said last, its history, and who is connected at the moment are in the HTTP
API: subscribe, then ask there.

**In order of the vehicle.** What a car says in one session comes on its messages channel in the order in which the
car said it. There is no order between channels: `peers` may say that a car has come after its first message. Of two
bodies of `peers` the one with the later `at` holds, of two bodies of one command that with the greater `revision`.
A car has one session at a time; one that logs in again, anywhere, has a new one, of a greater number, and the former
ends within a second.

**Every message has a version.** A body on a messages channel begins with it: `1785747907123-57` is message 57 of the
session 1785747907123 of the car. The numbers of a session are 1, 2, 3 and so on, also for messages that are dropped.
Versions are compared as two integers, the session first. Of two states of one code the one with the greater version
is the newer, whatever the order in which they arrive. A number that is not the next one of its session, a session that
does not begin with 1, or a position with a number that was not received: messages were lost. Read the newest state in
the HTTP API then.

**When Redis is away** cars stay connected, and what they say meanwhile is published to nobody, neither then nor
later. A subscriber has to subscribe again. When Redis is back every replica publishes anew, within seconds, who is
connected to its vehicles.

**When a replica dies** its cars and apps count for 10 seconds more; that they have gone is published within 15.
"""

TITLE: Final = "OVMS server: Redis channels"

REDIS: Final = {"host": "127.0.0.1:6379", "protocol": "redis", "description": "Redis or Valkey, that of `OVMS_REDIS_URL`."}

TAGS: Final = {True: {"name": "public"}, False: {"name": "internal"}}


def asyncapi() -> dict[str, Any]:
    """The document as data."""
    operations: dict[str, Any] = {}
    for channel in CHANNELS:
        operations |= _operations(channel)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": TITLE, "version": VERSION, "description": DESCRIPTION},
        "defaultContentType": "application/octet-stream",
        "servers": {"redis": REDIS},
        "channels": {channel.name: _channel(channel) for channel in CHANNELS},
        "operations": operations,
    }


def document() -> str:
    """The whole document."""
    return HEAD + write_yaml(asyncapi())


def _channel(channel: Channel) -> dict[str, Any]:
    named = {one.name: {"description": one.title, "examples": [one.example]} for one in channel.parameters}
    return {
        "address": channel.address,
        "description": channel.title,
        "tags": [TAGS[channel.is_public]],
        **({} if channel.is_public else {"x-internal": True}),
        **({"parameters": named} if named else {}),
        "messages": {body.name: _message(body) for body in channel.bodies},
    }


def _message(body: Body) -> dict[str, Any]:
    return {
        "summary": body.title,
        "contentType": body.content_type,
        "payload": body.payload(),
        "examples": [{"payload": body.example}],
    }


def _operations(channel: Channel) -> dict[str, Any]:
    """What the server does with a channel, and which of its services."""
    services = {"send": channel.publishers, "receive": channel.subscribers}
    return {f"{action}-{channel.name}": _operation(channel, action, by) for action, by in services.items()}


def _operation(channel: Channel, action: str, services: Sequence[Service]) -> dict[str, Any]:
    names = " and ".join(service.value for service in services)
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel.name}"},
        "summary": f"{'Published' if action == 'send' else 'Heard'} by {names}.",
        "tags": [TAGS[channel.is_public]],
    }


def main(arguments: Sequence[str]) -> None:
    """Write the document to the file that is named, else to the standard output."""
    if arguments:
        Path(arguments[0]).write_text(document(), encoding="utf-8")
    else:
        sys.stdout.write(document())


if __name__ == "__main__":
    main(sys.argv[1:])
