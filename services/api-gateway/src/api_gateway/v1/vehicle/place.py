"""The place of a vehicle whose module has none: the last one that is known."""

from collections.abc import Sequence
from typing import Final

from ovms.db.engine import Pool
from ovms.db.history import Part
from ovms.db.samples import read_samples
from ovms.db.state import Message
from ovms.records import Location, decode
from ovms.records.location import has_place

_NEWEST_FIRST: Final = Part(newest_first=True)


async def with_known_place(db: Pool, vehicle: int, messages: Sequence[Message]) -> list[Message]:
    """Return the messages, with the last sampled position in a location message that has none.

    A module that restarts in a garage sends 0,0 without a fix. The rest of its message is kept. Without a sample the position
    is empty, which is null in answers.
    """
    return [
        await _placed(db, vehicle, message) if message.code == Location.code and not message.paranoid else message
        for message in messages
    ]


async def _placed(db: Pool, vehicle: int, message: Message) -> Message:
    if has_place(decode(Location, message.data.decode("utf-8", "replace"))):
        return message
    samples, _ = await read_samples(db, vehicle, Location.code, _NEWEST_FIRST, None, 1)
    place = samples[0].data.split(b",")[:2] if samples else []
    _, _, *others = message.data.split(b",") if b"," in message.data else (b"", b"")
    return message._replace(data=b",".join([*(place if len(place) == 2 else (b"", b"")), *others]))
