"""Every view of the legacy API, over any texts of any records: JSON, and no member without a name."""

import json

from ovms.records import views

VIEWS = (views.STATUS, views.CHARGE, views.LOCATION, views.TPMS_Y, views.TPMS_W, views.TPMS)


def check(data: bytes) -> None:
    """Lines of a code and its text."""
    if not data:
        return
    texts = {line[:1].decode("latin-1"): line[1:].decode("utf-8", "replace") for line in data[1:].split(b"\n") if line}
    view = VIEWS[data[0] % len(VIEWS)]
    answer = view.render(texts)
    json.dumps(answer, allow_nan=False, ensure_ascii=False).encode()
    assert all(isinstance(value, str | int | float | None) for value in answer.values())
    assert bool(answer) or not any(code in texts for code in view.codes)
