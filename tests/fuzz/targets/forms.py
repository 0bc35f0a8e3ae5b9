"""Fields of a legacy call: any Content-Type, body and query have some of those that are asked for, as texts."""

from urllib.parse import urlencode

from api_gateway.legacy.forms import MOST_FIELDS, read_fields
from fuzz.script import MARK

NAMES = ("username", "password", "application", "purpose", "permit")


def check(data: bytes) -> None:
    content_type, body, query, *_ = (*data.split(MARK, 2), b"", b"")
    fields = read_fields(NAMES, content_type.decode("latin-1"), body, query)
    assert fields.keys() <= set(NAMES)
    assert all(isinstance(value, str) for value in fields.values())
    # What was read is read again, from the query as from a body.
    written = urlencode({name: value.encode("utf-8", "surrogatepass") for name, value in fields.items()}).encode()
    texts = {name: value.encode("utf-8", "surrogatepass").decode("utf-8", "replace") for name, value in fields.items()}
    assert read_fields(NAMES, "", b"", written) == texts
    assert read_fields(NAMES, "application/x-www-form-urlencoded", written, b"") == texts
    assert not read_fields(NAMES, "", b"", written + b"&x" * MOST_FIELDS)
