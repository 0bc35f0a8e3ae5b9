"""Vehicle ids and roles."""

import pytest

from ovms.errors import IdentityError
from ovms.identity import Role, check_new_vehicle_id, check_vehicle_id, fold_vehicle_id


@pytest.mark.parametrize("text", ["D", "DEMO", "demo-1", "a.b_c-D", "0", "x" * 32])
def test_ids_that_are_taken_stay_as_they_are_spelled(text: str) -> None:
    assert check_vehicle_id(text) == text


@pytest.mark.parametrize(
    "text", ["", "x" * 33, "a b", "a\n", "DEMO\n", "\nDEMO", "Käfer", "a/b", "a{b}", "*", "a\0", "a\u0661", "ﬁ"]
)
def test_other_ids_are_refused(text: str) -> None:
    with pytest.raises(IdentityError, match="1 to 32 letters"):
        check_vehicle_id(text)


@pytest.mark.parametrize("text", ["D", "demo-1", "0", "-a", "a-", "x" * 32])
def test_new_ids_are_letters_digits_and_dashes(text: str) -> None:
    assert check_new_vehicle_id(text) == text


@pytest.mark.parametrize(
    "text", ["", "A_B", "A.B", ".", "-", "--", "-" * 32, "x" * 33, "a b", "DEMO\n", "Käfer", "a/b", "a\0", "a\u0661", "ﬁ"]
)
def test_new_ids_that_no_module_accepts_are_rejected(text: str) -> None:
    with pytest.raises(IdentityError, match="ASCII letters, digits or dashes"):
        check_new_vehicle_id(text)


def test_two_spellings_of_one_id_fold_to_one() -> None:
    assert fold_vehicle_id("dEmO-1.x_") == fold_vehicle_id("DeMo-1.X_") == "DEMO-1.X_"


def test_the_roles_are_the_letters_of_the_manual() -> None:
    assert [role.value for role in Role] == ["C", "A", "B"]
