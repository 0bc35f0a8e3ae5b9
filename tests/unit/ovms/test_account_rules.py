"""The rules of names and passwords are one for the API and for the command."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from api_gateway.v1.account.registration import VehiclePassword
from api_gateway.v1.fields import Email, OwnerPassword, ShortText
from ovms.account_rules import EMAIL, OWNER_PASSWORD, SHORT_TEXT, VEHICLE_PASSWORD, TextRule
from ovms.errors import IdentityError

PAIRS = [(OWNER_PASSWORD, OwnerPassword), (VEHICLE_PASSWORD, VehiclePassword), (EMAIL, Email), (SHORT_TEXT, ShortText)]
TEXTS = st.text(st.characters(codec="utf-8"), max_size=300) | st.from_regex(re.compile(EMAIL.pattern[:-1] + r"\Z"))


def accepts(rule: TextRule, text: str) -> bool:
    try:
        return rule.check(text) == text
    except IdentityError:
        return False


def is_valid(field: type[BaseModel], text: str) -> bool:
    try:
        return bool(TypeAdapter(field).validate_python(text) == text)
    except ValidationError:
        return False


@pytest.mark.parametrize(("rule", "field"), PAIRS)
@given(text=TEXTS)
def test_the_api_and_the_command_accept_the_same(rule: TextRule, field: type[BaseModel], text: str) -> None:
    if not text.endswith("\n"):  # which the command cannot be given
        assert accepts(rule, text) == is_valid(field, text)


@pytest.mark.parametrize("rule", [OWNER_PASSWORD, VEHICLE_PASSWORD])
def test_no_message_holds_a_password(rule: TextRule) -> None:
    with pytest.raises(IdentityError) as caught:
        rule.check("hush")
    assert "hush" not in str(caught.value)
