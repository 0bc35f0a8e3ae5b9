"""YAML, read back by another program."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ovms.bus.yaml import write_yaml

# What a document is made of; a text that begins or ends with white space is never a block.
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], include_characters=" ")) | st.sampled_from(
    ["", "no", "Null", "~", "1", "1e5", "- x", "a: b", "#", "$ref", "x-fields", "one\ntwo", "2026-01-01", "0x10", '"', "'"]
)
# YAML 1.1 takes a number with an exponent for a text.
NUMBERS = st.integers() | st.integers(-(10**9), 10**9).map(lambda cents: cents / 100)
SCALARS = TEXTS | NUMBERS | st.booleans() | st.none()
DATA = st.recursive(
    SCALARS, lambda parts: st.lists(parts, max_size=3) | st.dictionaries(TEXTS, parts, max_size=3), max_leaves=12
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(TEXTS, DATA, min_size=1, max_size=3))
def test_what_is_written_is_read(data: dict[str, object]) -> None:
    assert yaml.safe_load(write_yaml(data)) == data


def test_it_looks_like_what_people_write() -> None:
    data = {
        "title": "a title",
        "text": "one\n\n  two\n",
        "empty": [{}, []],
        "channels": {"peers": {"tags": [{"name": "public", "x": [1, 2]}], "required": ["a", "b"]}},
    }
    assert write_yaml(data) == (
        'title: "a title"\n'
        "text: |\n  one\n\n    two\n"
        "empty:\n  - {}\n  - []\n"
        'channels:\n  peers:\n    tags:\n      - name: public\n        x: [1, 2]\n    required: ["a", "b"]\n'
    )
    assert yaml.safe_load(write_yaml(data)) == data


@pytest.mark.parametrize("word", ["yes", "NO", "on", "Off", "true", "null", "y", "N"])
def test_words_that_yaml_takes_for_something_else_are_quoted(word: str) -> None:
    assert write_yaml({word: word}) == f'"{word}": "{word}"\n'
