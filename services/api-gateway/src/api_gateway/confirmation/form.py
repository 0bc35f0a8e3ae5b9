"""The form that confirms a mail address: how it is written, and how it is read. Pure."""

from html import escape
from typing import Final
from urllib.parse import parse_qs

PATH: Final = "/mail/confirm"
LONGEST_CODE: Final = 100

_FORM: Final = (
    '<form method="post" action="' + PATH + '"><p>This mail address is to get the notifications of a vehicle.</p>'
    '<p><label>Code <input name="code" value="{code}" maxlength="100" required></label></p>'
    "<p><button>Confirm this address</button></p></form>"
)


def write_form(code: str) -> str:
    """Return the form with a code filled in."""
    return _FORM.format(code=escape(code[:LONGEST_CODE]))


def read_code(body: bytes) -> str:
    """Return the code of a form that was sent; an empty one if it has none."""
    try:
        return parse_qs(body.decode("ascii"), max_num_fields=4).get("code", [""])[0][:LONGEST_CODE].strip()
    except ValueError:
        return ""
