"""The form that confirms a mail address: a code stays within its field of the page, and comes back from there as it was."""

from html import unescape
from urllib.parse import urlencode

from api_gateway.confirmation.form import LONGEST_CODE, read_code, write_form

BEFORE, AFTER = write_form("\0").split("\0")


def check(data: bytes) -> None:
    code = read_code(data)
    assert len(code) <= LONGEST_CODE
    assert code == code.strip()
    for shown in (code, data.decode("utf-8", "replace")):
        page = write_form(shown)
        assert page.startswith(BEFORE)
        assert page.endswith(AFTER)
        value = page[len(BEFORE) : len(page) - len(AFTER)]
        assert not set(value) & set("<>\"'")
        assert unescape(value) == shown[:LONGEST_CODE] or "&" in shown
    assert read_code(urlencode({"code": code}).encode()) == code
