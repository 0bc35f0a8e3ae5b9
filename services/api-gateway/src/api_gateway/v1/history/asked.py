"""What callers ask of a list: a part of a time, an order, a page."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote, urlencode

from fastapi import Query, Request
from pydantic import BeforeValidator, WithJsonSchema

from api_gateway.v1.errors import NotAcceptable
from api_gateway.v1.history.cursors import Key, read_cursor, write_cursor
from api_gateway.v1.history.negotiation import choose
from ovms.db.history import Part
from ovms.times import read_rfc3339

MOST: Final = 1000
USUAL: Final = 100

Moment = Annotated[datetime, BeforeValidator(read_rfc3339), WithJsonSchema({"type": "string", "format": "date-time"})]
Order = Literal["asc", "desc"]

Since = Annotated[
    Moment | None,
    Query(alias="from", description="What is not older than this, RFC 3339", examples=["2026-11-22T19:00:00Z"]),
]
Until = Annotated[
    Moment | None, Query(alias="to", description="What is older than this, RFC 3339", examples=["2026-11-23T00:00:00Z"])
]
Limit = Annotated[
    int | None,
    Query(ge=1, le=MOST, description=f"Items a page, {USUAL} where it is not said. Streams hold all without it."),
]
Cursor = Annotated[str | None, Query(description="The `next` of the page before", examples=["WzE3OTUzNzQ3NDMwMDAwMDAsNV0"])]


@dataclass(frozen=True, slots=True)
class Asked:
    """One call's wishes."""

    part: Part
    limit: int | None
    cursor: str | None
    path: str
    query: dict[str, str] = field(default_factory=dict)
    """What the next page is asked with too. Of the parameters known here alone: credentials may be among the others."""

    def after(self, *kinds: type) -> Key | None:
        """The key that the page follows, which has parts of these types; None for the first page.

        Raises:
            InvalidRequest: the cursor is none.
        """
        return None if self.cursor is None else read_cursor(self.cursor, *kinds)

    def link(self, key: Key) -> bytes:
        """The value of a `Link` header that leads to what follows this key."""
        query = urlencode({**self.query, "cursor": write_cursor(key)})
        return f'<{quote(self.path, safe="/*-._~")}?{query}>; rel="next"'.encode()


def asking(usual_order: Order) -> Callable[..., Coroutine[Any, Any, Asked]]:
    """What is asked of a list that has this order where no other is asked for."""

    async def asked(
        request: Request,
        since: Since = None,
        until: Until = None,
        order: Annotated[Order, Query(description="Oldest or newest first")] = usual_order,
        limit: Limit = None,
        cursor: Cursor = None,
    ) -> Asked:
        query = query_of(since, until, limit) | {"order": order}
        return Asked(part_of(since, until, newest_first=order == "desc"), limit, cursor, request.scope["path"], query)

    return asked


async def unordered(
    request: Request, since: Since = None, until: Until = None, limit: Limit = None, cursor: Cursor = None
) -> Asked:
    """What is asked of a list that has an order of its own."""
    return Asked(part_of(since, until), limit, cursor, request.scope["path"], query_of(since, until, limit))


def part_of(since: datetime | None, until: datetime | None, *, newest_first: bool = False) -> Part:
    """The part of a time between two moments, each of which may be left out."""
    ends = {name: moment for name, moment in (("start", since), ("end", until)) if moment is not None}
    return Part(**ends, newest_first=newest_first)


def query_of(since: datetime | None, until: datetime | None, limit: int | None) -> dict[str, str]:
    """These wishes as a query."""
    query = {name: write_moment(moment) for name, moment in (("from", since), ("to", until)) if moment is not None}
    return query if limit is None else query | {"limit": str(limit)}


def write_moment(moment: datetime) -> str:
    """A moment, which is in UTC, as RFC 3339 writes it."""
    return moment.isoformat().replace("+00:00", "Z")


def kind_wanted(request: Request, *offered: str) -> str:
    """The media type to answer with.

    Raises:
        NotAcceptable: the caller takes none of those offered.
    """
    accept = request.headers.getlist("accept")
    if (kind := choose(",".join(accept) if accept else None, offered)) is None:
        raise NotAcceptable
    return kind
