"""Answers to the byte."""

import pytest

from api_gateway.answers import error_answer, json_answer, json_typed_text, text_answer
from api_gateway.errors import ApiError, ServiceUnavailable, answers


def test_json_is_sorted_compact_and_ends_in_a_line_feed() -> None:
    answer = json_answer({"b": None, "a": ["ä/", 1, 0.5], "é": '\x00\x7f"\\'})
    assert answer.body == '{"a":["ä/",1,0.5],"b":null,"é":"\\u0000\x7f\\"\\\\"}\n'.encode()
    assert answer.raw_headers == [(b"content-type", b"application/json"), (b"content-length", b"48")]


def test_empty_answers_have_three_bytes() -> None:
    assert json_answer({}).body == b"{}\n"
    assert json_answer([]).body == b"[]\n"


def test_text() -> None:
    assert text_answer("Login ok").raw_headers[0] == (b"content-type", b"text/plain")
    assert json_typed_text("Disconnect OK").body == b"Disconnect OK\n"
    assert error_answer(ServiceUnavailable).raw_headers[1] == (b"retry-after", b"5")


def leaves(error: type[ApiError]) -> list[type[ApiError]]:
    return [error, *(leaf for child in error.__subclasses__() for leaf in leaves(child))]


@pytest.mark.parametrize("error", leaves(ApiError)[1:])
def test_every_error_declares_what_it_answers(error: type[ApiError]) -> None:
    declared = answers(error)[error.status]
    example = declared["content"]["text/plain"]["examples"][error.__name__]
    assert example["value"].encode() == error_answer(error).body
    assert declared["description"] == error.meaning


def test_errors_of_one_status_share_an_entry() -> None:
    declared = answers(ServiceUnavailable, *leaves(ApiError)[1:])
    assert set(declared[403]["content"]["text/plain"]["examples"]) >= {"Forbidden", "InsufficientRights"}
    assert set(declared[429]["headers"]) == {"Retry-After"}
