"""An HTTP client that reads the event stream of all vehicles of an owner, at any gateway."""

import asyncio
import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import httpx

from chaos.journal import Called, Journal, StateStreamed, StreamEnded, StreamOpened
from fixtures.replicas import OWNER_PASSWORD

PATH: Final = "/api/v1/events"
AGAIN: Final = (0.1, 0.5)
OPEN_TIMEOUT: Final = 30.0
SILENCE: Final = 30.0
"""Seconds without a byte after which the stream is opened again: twice OVMS_EVENT_HEARTBEAT, the default."""

NUMBERS: Final[Mapping[str, Callable[[Any], int]]] = {
    "S": lambda values: int(values["soc"]),
    "V": lambda values: int(values["commands"][0]),
}
"""Which state it is, in the values of an event; one for each of `STREAMED`."""


class StreamReader:
    """It opens the stream again whenever it ends, with the last id that it has received.

    Args:
        vehicles: all that the owner has.
        urls: where each gateway is.
    """

    def __init__(
        self, journal: Journal, owner: str, vehicles: Sequence[str], urls: Mapping[str, str], dice: random.Random
    ) -> None:
        self.owner = owner
        self.is_open = False
        self._journal = journal
        self._vehicles = tuple(vehicles)
        self._urls = urls
        self._dice = dice
        self._last_id = ""

    async def run(self) -> None:
        """Read until cancelled."""
        timeout = httpx.Timeout(OPEN_TIMEOUT, read=SILENCE)
        async with httpx.AsyncClient(timeout=timeout, trust_env=False, auth=(self.owner, OWNER_PASSWORD)) as client:
            while True:
                await self._open(client)
                await asyncio.sleep(self._dice.uniform(*AGAIN))

    async def _open(self, client: httpx.AsyncClient) -> None:
        began, gateway, status = self._journal.now(), self._dice.choice(list(self._urls)), 0
        headers = {"Last-Event-ID": self._last_id} if self._last_id else {}
        stream = self._journal.new_socket()
        try:
            async with client.stream("GET", self._urls[gateway] + PATH, headers=headers) as answer:
                status = answer.status_code
                self._called(began, gateway, status, has_retry_after="retry-after" in answer.headers)
                if status == httpx.codes.OK:
                    self._journal.note(StreamOpened(self._journal.now(), stream, self.owner, gateway, self._vehicles))
                    self.is_open = True
                    await self._read(stream, answer)
                    self._journal.note(StreamEnded(self._journal.now(), stream, "its end"))
        except httpx.HTTPError as error:
            if status:
                self._journal.note(StreamEnded(self._journal.now(), stream, type(error).__name__))
            else:
                self._called(began, gateway, 0, how=type(error).__name__)
        finally:
            self.is_open = False

    async def _read(self, stream: int, answer: httpx.Response) -> None:
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif fields:
                self._receive(stream, fields)
                fields = {}

    def _receive(self, stream: int, fields: Mapping[str, str]) -> None:
        self._last_id = fields.get("id", self._last_id)
        if fields.get("event") != "state":
            return
        told = json.loads(fields["data"])
        if (number := NUMBERS.get(told["code"])) is not None:
            event = StateStreamed(self._journal.now(), stream, told["vehicle"], told["code"], number(told["values"]))
            self._journal.note(event)

    def _called(self, began: float, gateway: str, status: int, has_retry_after: bool = False, how: str = "") -> None:
        caller = f"{self.owner}'s stream"
        self._journal.note(Called(began, self._journal.now(), caller, gateway, PATH, status, has_retry_after, how))
