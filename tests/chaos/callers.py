"""An HTTP client that signs in, watches a vehicle and reads its state, each call at any gateway."""

import asyncio
import random
from collections.abc import Mapping
from typing import Final

import httpx

from chaos.journal import Called, Journal, SignedIn, StateRead, Watching
from chaos.module import CODES, SELDOM
from fixtures.replicas import OWNER_PASSWORD

EVERY: Final = (0.3, 0.8)
CALL_TIMEOUT: Final = 30.0
SIGN_IN: Final = "/api/cookie"


class Caller:
    """One owner's client.

    Args:
        urls: where each gateway is.
    """

    def __init__(self, journal: Journal, owner: str, vehicle: str, urls: Mapping[str, str], dice: random.Random) -> None:
        self.owner = owner
        self.is_watching = False
        """The last call that connects to the vehicle was answered, and no session was lost since."""
        self._vehicle = vehicle
        self._journal = journal
        self._urls = urls
        self._dice = dice
        self._cookie = ""

    async def run(self) -> None:
        """Call until cancelled."""
        async with httpx.AsyncClient(timeout=CALL_TIMEOUT, trust_env=False) as client:
            while True:
                if self._cookie:
                    await self._dice.choice((self._watch, self._watch, self._read, self._status, self._list))(client)
                else:
                    await self._sign_in(client)
                await asyncio.sleep(self._dice.uniform(*EVERY))

    async def _sign_in(self, client: httpx.AsyncClient) -> None:
        answer = await self._call(client, SIGN_IN, username=self.owner, password=OWNER_PASSWORD)
        if answer is not None:
            self._cookie = answer.headers["Set-Cookie"].split(";")[0]
            self._journal.note(SignedIn(self._journal.now(), self.owner))

    async def _watch(self, client: httpx.AsyncClient) -> None:
        if await self._call(client, f"/api/vehicle/{self._vehicle}") is not None:
            self._journal.note(Watching(self._journal.now(), self.owner, self._vehicle))
            self.is_watching = True

    async def _status(self, client: httpx.AsyncClient) -> None:
        await self._call(client, f"/api/status/{self._vehicle}")

    async def _list(self, client: httpx.AsyncClient) -> None:
        await self._call(client, "/api/vehicles")

    async def _read(self, client: httpx.AsyncClient) -> None:
        began = self._journal.now()
        answer = await self._call(client, f"/api/protocol/{self._vehicle}")
        for message in answer.json() if answer is not None else ():
            if message["m_code"] in CODES + SELDOM:
                number = int(message["m_msg"].split(",")[0])
                self._journal.note(StateRead(began, self._journal.now(), self._vehicle, message["m_code"], number))

    async def _call(self, client: httpx.AsyncClient, path: str, **query: str) -> httpx.Response | None:
        """The answer, where it is 200."""
        began, gateway = self._journal.now(), self._dice.choice(list(self._urls))
        try:
            answer = await client.get(self._urls[gateway] + path, params=query, headers={"Cookie": self._cookie})
        except httpx.HTTPError as error:
            self._note(began, gateway, path, 0, how=type(error).__name__)
            return None
        self._note(began, gateway, path, answer.status_code, "retry-after" in answer.headers)
        if answer.status_code == 401:
            self._cookie, self.is_watching = "", False
        return answer if answer.status_code == 200 else None

    def _note(self, began: float, gateway: str, path: str, status: int, has_retry_after: bool = False, how: str = "") -> None:
        now = self._journal.now()
        self._journal.note(Called(began, now, self.owner, gateway, path, status, has_retry_after, how))
