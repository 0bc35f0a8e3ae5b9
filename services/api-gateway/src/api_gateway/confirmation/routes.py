"""Confirms a mail address by the code that was sent to it.

Mail scanners fetch what a mail links to: so a GET shows a button, and what it posts confirms.
"""

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from api_gateway.answers import Plain
from api_gateway.confirmation.form import PATH, read_code, write_form
from api_gateway.dependencies import PoolDep
from ovms.db.mail_addresses import use_code

MOST_BODY: Final = 1024
"""Bytes of a form."""

POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

_DONE: Final = "<p>Confirmed: notifications are sent to this address from now on.</p>"
_UNKNOWN: Final = "<p>This code is unknown, used already, or too old. Subscribe again to get another one.</p>"

router = APIRouter(include_in_schema=False)


@router.get(PATH)
async def show(request: Request) -> Response:
    """Show the button."""
    return _page(write_form(request.query_params.get("code", "")), 200)


@router.post(PATH)
async def confirm(request: Request, pool: PoolDep) -> Response:
    """Confirm the address."""
    code = read_code(await _read(request))
    is_known = bool(code) and await use_code(pool, code) is not None
    return _page(_DONE, 200) if is_known else _page(_UNKNOWN, 404)


async def _read(request: Request) -> bytes:
    """Return the body; an empty one where it is larger than the form can be."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY:
            return b""
    return body


def _page(content: str, status: int) -> Plain:
    page = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta name="robots" content="noindex"><title>Mail address</title></head><body>{content}</body></html>\n'
    )
    headers = ((b"content-type", b"text/html; charset=utf-8"), (b"content-security-policy", POLICY.encode()))
    return Plain(page.encode(), status, *headers, (b"cache-control", b"no-store"))
