"""What a configuration for auto-provisioning may consist of."""

import pytest

from ovms.admin.configuration import LONGEST_KEY, LONGEST_RECORD, check_key, check_secret, join_parameters
from ovms.admin.errors import InputError
from ovms.protocol.welcome import write_provisioning

NOT_WORDS = ["", " ", "a b", " a", "a ", "a\tb", "a\nb", "a\r", "a\0", "a\x7f", "a\u00a0b", "a\u3000b", "a\ud800"]


@pytest.mark.parametrize("key", ["V", "VIN00000000000001", "x" * LONGEST_KEY, "schlüssel"])
def test_a_key_is_one_word_of_a_line(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize("key", [*NOT_WORDS, "x" * (LONGEST_KEY + 1)])
def test_a_key_that_no_module_could_send_is_refused(key: str) -> None:
    with pytest.raises(InputError, match=r"key .*: 1 to 64 printable characters without blanks"):
        check_key(key)


def test_a_secret_can_be_printed() -> None:
    assert check_secret("8944 12") == "8944 12"
    for wrong in ("", "a\n", "a\0", "a\ud800"):
        with pytest.raises(InputError, match="secret is empty or") as caught:
            check_secret(wrong)
        assert str(caught.value).count("\n") == 0


def test_parameters_are_joined_with_spaces() -> None:
    assert join_parameters(["+4412345", "-", "-", "NETPASS"]) == "+4412345 - - NETPASS"


@pytest.mark.parametrize("parameter", NOT_WORDS)
def test_a_parameter_that_would_shift_those_behind_it_is_refused(parameter: str) -> None:
    with pytest.raises(InputError, match=r"parameters\[1\]: empty, or with a blank") as caught:
        join_parameters(["geheim", parameter])
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("parameters", [[], ["x" * (LONGEST_RECORD + 1)], ["ü" * (LONGEST_RECORD // 2 + 1)]])
def test_a_record_that_no_module_could_receive_is_refused(parameters: list[str]) -> None:
    with pytest.raises(InputError, match=f"parameters: 1 to {LONGEST_RECORD} bytes"):
        join_parameters(parameters)


def test_the_longest_record_fills_the_line_of_a_module() -> None:
    record = join_parameters(["x" * LONGEST_RECORD])
    assert len(write_provisioning(record.encode(), b"secret", b"t" * 22)) <= 1023
    assert len(write_provisioning(record.encode() + b"x", b"secret", b"t" * 22)) > 1023
