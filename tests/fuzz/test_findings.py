"""What the fuzzer, or a look at what it could not reach, once found: each input through its target again."""

import pytest

from fuzz.script import MARK, write_steps
from fuzz.targets import load

DIGITS = b"0" * 5000
"""More than Python makes a number of: `int` raises where a text has over 4,300."""


@pytest.mark.parametrize(
    ("name", "finding"),
    [
        # A text that goes on in the next line of its file broke the line that it was sent in.
        ("error_codes", b"VA,1,2" + MARK + b"[VA]\n1: of it\n  more\n"),
        ("error_codes", b"V,9,--1"),
        ("error_codes", b"V,9," + DIGITS),
        # An answer to a login that had been answered, with the peer's own token, was no error of ours.
        ("server_session", write_steps(("w", b"\x00DEMO"), ("a", b""), ("a", b"reflected"))),
        ("room", write_steps(("m", b"0PEV,9,--1"))),
        ("room", write_steps(("m", b"1C1"), ("m", b"0c1," + DIGITS))),
        ("room", write_steps(("m", b"1C1"), ("m", b"0c1,0," + DIGITS + b"," + DIGITS))),
        ("room", write_steps(("m", b"0h17," + DIGITS + b",*-LOG," + DIGITS + b"," + DIGITS + b",x"), ("w", b""))),
    ],
)
def test_it_is_found_no_more(name: str, finding: bytes) -> None:
    load(name)(finding)
