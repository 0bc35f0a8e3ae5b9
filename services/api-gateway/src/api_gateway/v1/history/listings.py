"""Lists that may be long: a page of them as JSON, or all that was asked for as CSV or a JSON object a line."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, Generic, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from api_gateway.answers import Plain
from api_gateway.pieces import Slot, in_pieces
from api_gateway.v1.answers import VARY, is_known, json_answer, json_body, not_modified
from api_gateway.v1.history.asked import MOST, USUAL, Asked, kind_wanted
from api_gateway.v1.history.cursors import Key, write_cursor
from api_gateway.v1.history.tables import CSV, NDJSON, write_csv, write_csv_head, write_ndjson

JSON: Final = "application/json"
KINDS: Final = (JSON, CSV, NDJSON)
CACHED: Final = (b"cache-control", b"private, no-cache")
"""Also of the past: modules send records days after they were made, and owners remove them."""

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Listing(Generic[Row]):
    """How rows are read and shown."""

    columns: Sequence[str]
    read: Callable[[Key | None, int], Awaitable[tuple[list[Row], bool]]]
    """At most so many rows after a key, and whether more may follow."""
    key: Callable[[Row], Key]
    render: Callable[[Row], dict[str, Any]]
    """The values of a row, in the order of the columns."""


async def answer(request: Request, asked: Asked, listing: Listing[Row], after: Key | None, slot: Slot) -> Response:
    """A listing in the form that the caller wants.

    Raises:
        NotAcceptable: there is none.
    """
    kind = kind_wanted(request, *KINDS)
    if kind == JSON:
        return await _page(request, asked, listing, after)
    if asked.limit is None:
        return await in_pieces(request, slot, _pieces(listing, kind, after), _described(kind), CACHED, *VARY)
    rows, more = await listing.read(after, asked.limit)
    body = (write_csv_head(listing.columns) if kind == CSV else b"") + _WRITERS[kind](map(listing.render, rows))
    links = [_link(asked, listing, rows)] if rows and more else []
    return Plain(body, 200, _described(kind), CACHED, *VARY, *links)


async def _page(request: Request, asked: Asked, listing: Listing[Row], after: Key | None) -> Response:
    rows, more = await listing.read(after, asked.limit or USUAL)
    following = listing.key(rows[-1]) if rows and more else None
    return page_answer(
        request,
        {"items": [listing.render(row) for row in rows], "next": following and write_cursor(following)},
        *([_link(asked, listing, rows)] if following else []),
    )


def page_answer(request: Request, value: dict[str, Any], *headers: tuple[bytes, bytes]) -> Response:
    """A value with a tag of its own, or that the caller has it."""
    tag = b'W/"%s"' % blake2b(json_body(value), digest_size=12).hexdigest().encode()
    if is_known(tag, request.headers.get("if-none-match")):
        return not_modified(tag)
    return json_answer(value, (b"etag", tag), *headers)


_WRITERS: Final = {CSV: write_csv, NDJSON: write_ndjson}


def _described(kind: str) -> tuple[bytes, bytes]:
    return b"content-type", (f"{CSV}; charset=utf-8; header=present" if kind == CSV else kind).encode()


def _link(asked: Asked, listing: Listing[Row], rows: Sequence[Row]) -> tuple[bytes, bytes]:
    return b"link", asked.link(listing.key(rows[-1]))


async def _pieces(listing: Listing[Row], kind: str, after: Key | None) -> AsyncIterator[bytes]:
    more, head = True, write_csv_head(listing.columns) if kind == CSV else b""
    while more:
        rows, more = await listing.read(after, MOST)
        yield head + _WRITERS[kind](map(listing.render, rows))
        head = b""
        if not rows:
            return
        after = listing.key(rows[-1])
