"""The lines that both services write."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from ovms.db.sealing import Sealer
from ovms.logs import REQUEST_ID, ToStructlog, make_log
from ovms.redaction import Redactor

KEYS = "k1:" + "B" * 42 + "A="


@pytest.fixture
def stream() -> io.BytesIO:
    return io.BytesIO()


@pytest.fixture
def log(stream: io.BytesIO) -> Any:
    return make_log("api-gateway", "info", Redactor(Sealer.from_setting(KEYS).pseudonym), stream)


def lines(stream: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_says_what_when_how_bad_and_by_whom(log: Any, stream: io.BytesIO) -> None:
    log.debug("too little")
    log.info("listening", port=6868)
    [line] = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "listening", "level": "info", "service": "api-gateway", "port": 6868}


def test_lines_of_a_request_have_its_id(log: Any, stream: io.BytesIO) -> None:
    outer = REQUEST_ID.set("abc")
    log.info("within")
    REQUEST_ID.reset(outer)
    log.info("without")
    assert [line.get("request_id") for line in lines(stream)] == ["abc", None]


def test_a_vehicle_has_one_name_under_one_key_and_another_under_another(log: Any, stream: io.BytesIO) -> None:
    log.info("closed", vehicle="Demo")
    log.info("closed", vehicle="DEMO")
    log.info("closed", vehicle="DEMO2")
    one, same, other = (line["vehicle"] for line in lines(stream))
    assert one == same != other
    assert len(one) == 10
    assert Sealer.from_setting(KEYS.replace("B", "C")).pseudonym("DEMO") != one == Sealer.from_setting(KEYS).pseudonym("demo")


@pytest.mark.parametrize("value", ["half \ud83d", 2**80])
def test_what_json_has_no_form_for_does_not_lose_the_line(log: Any, stream: io.BytesIO, value: object) -> None:
    log.info("odd", value=value)
    assert lines(stream)[0]["value"] == value


def test_an_exception_is_told_without_its_secrets(log: Any, stream: io.BytesIO) -> None:
    try:
        raise RuntimeError("connect to redis://:hush@host")
    except RuntimeError as error:
        log.error("broken", exc_info=error)
    [line] = lines(stream)
    assert "RuntimeError: connect to redis://***@host" in line["exception"]
    # The line of the code that raised it is in the trace, and has the shape too.
    assert "hush" not in str(line)


@pytest.fixture
def library(log: Any) -> Iterator[logging.Logger]:
    logger, handler = logging.getLogger("a.library"), ToStructlog(log)
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)


def test_what_libraries_warn_of_is_in_the_log(library: logging.Logger, stream: io.BytesIO) -> None:
    library.warning("refused %s", "password=hush")
    [line] = lines(stream)
    assert (line["event"], line["level"], line["logger"]) == ("refused password=***", "warning", "a.library")
