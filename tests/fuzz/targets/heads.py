"""Request heads: what is normalized is one head with the same lines, and stays as it is when it is normalized again."""

from contextlib import suppress

from api_gateway.edge.heads import MixedLineEnds, end_of_head, mend, skip_empty_lines


def check(data: bytes) -> None:
    start = skip_empty_lines(data, 0)
    assert not data[:start].strip(b"\r\n")
    end = end_of_head(data, start)
    if end < 0:
        return
    head = data[start:end]
    with suppress(MixedLineEnds):
        normalized = mend(head)
        assert end_of_head(normalized) == len(normalized)
        assert normalized.count(b"\n") == normalized.count(b"\r\n") == head.count(b"\n")
        assert mend(normalized) == normalized
