"""The lines before login."""

import base64

import pytest

from ovms.errors import BadWelcome, UnsupportedScheme
from ovms.identity import Role
from ovms.protocol.welcome import (
    Login,
    ProvisionRequest,
    UserLogin,
    read_answer,
    read_welcome,
    write_answer,
    write_provisioning,
    write_user_answer,
    write_welcome,
)
from unit.ovms.protocol.transcripts import PROVISIONING, transcript

PROOF = b"9/O32Bkim3ovD9vF/WeY1w=="
TOKEN = b"AbCdEfGhIjKlMnOpQrStUv"


def login(line: bytes) -> Login:
    request = read_welcome(line)
    assert isinstance(request, Login)
    return request


CAR = Login(Role.CAR, "DEMO", TOKEN, base64.b64decode(PROOF))


@pytest.mark.parametrize(
    "line",
    [
        b"MP-C 0 AbCdEfGhIjKlMnOpQrStUv 9/O32Bkim3ovD9vF/WeY1w== DEMO",
        b"MP-C 0 AbCdEfGhIjKlMnOpQrStUv 9/O32Bkim3ovD9vF/WeY1w== DEMO\r",
        b"MP-C 0 AbCdEfGhIjKlMnOpQrStUv 9/O32Bkim3ovD9vF/WeY1w DEMO\r",
        b"MP-C 0 AbCdEfGhIjKlMnOpQrStUv 9/O32Bkim3ovD9vF/WeY1w== DEMO car.png",
        b"MP-C 0 AbCdEfGhIjKlMnOpQrStUv 9/O32Bkim3ovD9vF/WeY1w== DEMO a b c\r",
    ],
)
def test_welcomes_of_real_cars(line: bytes) -> None:
    assert login(line) == CAR
    assert login(line).proves(b"NETPASS")
    assert not login(line).proves(b"netpass")


@pytest.mark.parametrize(("letter", "role"), [(b"C", Role.CAR), (b"A", Role.APP), (b"B", Role.BATCH)])
def test_the_role_is_the_letter(letter: bytes, role: Role) -> None:
    assert login(b"MP-" + letter + b" 0 token AAAA demo").role is role


@pytest.mark.parametrize("size", [1, 8, 22, 44, 200])
def test_tokens_may_have_any_length(size: int) -> None:
    token = b"x" * size
    read = login(write_welcome(Role.APP, token, b"secret", "demo"))
    assert read.token == token
    assert read.proves(b"secret")


def test_the_id_stays_as_it_is_spelled_whatever_it_is() -> None:
    assert login(b"MP-C 0 t AAAA dEmO-1.x").vehicle_id == "dEmO-1.x"
    assert login("MP-C 0 t AAAA Käfer".encode()).vehicle_id == "Käfer"
    assert login(b"MP-C 0 t AAAA \xff\x00").vehicle_id == "\N{REPLACEMENT CHARACTER}\x00"


@pytest.mark.parametrize("digest", [b"AAAA", b"9/O32Bkim3ovD9vF/WeY", b"9/O32Bkim3ovD9vF/WeY1wAA"])
def test_a_digest_of_another_length_proves_nothing(digest: bytes) -> None:
    assert not login(b"MP-C 0 AbCdEfGhIjKlMnOpQrStUv " + digest + b" DEMO").proves(b"NETPASS")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\r",
        b"HELLO THERE",
        b"GET / HTTP/1.1",
        b"GET /apiv2 HTTP/1.1 and more",
        b"MP-C",
        b"MP-C 0",
        b"MP-C 0 token AAAA",
        b"MP-X 0 token AAAA demo",
        b"MP- 0 token AAAA demo",
        b"MP-CA 0 token AAAA demo",
        b"MP-\xff 0 token AAAA demo",
        b"mp-c 0 token AAAA demo",
        b"XP-C 0 token AAAA demo",
        b"MP-S 0 token AAAA demo",
        b"MP-C 0 token A demo",
    ],
)
def test_what_is_no_welcome_is_refused(line: bytes) -> None:
    with pytest.raises(BadWelcome):
        read_welcome(line)


@pytest.mark.parametrize("scheme", [b"9", b"2", b"00", b"01", b"x"])
def test_other_schemes_are_refused(scheme: bytes) -> None:
    with pytest.raises(UnsupportedScheme):
        read_welcome(b"MP-C " + scheme + b" token AAAA demo")


@pytest.mark.parametrize(("letter", "role"), [(b"C", Role.CAR), (b"A", Role.APP), (b"B", Role.BATCH)])
@pytest.mark.parametrize("extra", [b"", b"\r", b" car.png\r"])
def test_a_user_asks_for_a_vehicle(letter: bytes, role: Role, extra: bytes) -> None:
    line = b"MP-" + letter + " 1 Käfer hunter22 OTHER1".encode() + extra
    assert read_welcome(line) == UserLogin(role, "Käfer", "hunter22", "OTHER1")
    assert "hunter22" not in repr(read_welcome(line))


def test_a_user_asks_for_any_vehicle() -> None:
    assert read_welcome(b"MP-A 1 other hunter22 *") == UserLogin(Role.APP, "other", "hunter22", "*")


def test_a_user_is_answered_with_all_vehicles() -> None:
    assert write_user_answer("other", "OTHER2", ["OTHER1", "OTHER2"]) == b"MP-S 1 other OTHER2 OTHER1 OTHER2\r\n"


@pytest.mark.parametrize("line", [b"AP-C 0 VIN1", b"AP-C 0 VIN1\r", b"AP-C 0 VIN1 and more"])
def test_a_module_asks_for_its_configuration(line: bytes) -> None:
    assert read_welcome(line) == ProvisionRequest("VIN1")


@pytest.mark.parametrize(
    ("line", "error"), [(b"AP-C 0", BadWelcome), (b"AP-S 0 x", BadWelcome), (b"AP-C 1 x", UnsupportedScheme)]
)
def test_another_request_is_refused(line: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_welcome(line)


def test_a_configuration_is_sealed_as_openssl_does_it() -> None:
    session = transcript(PROVISIONING)
    assert write_provisioning(session.srv.messages[0], session.secret, session.server_token) == session.srv.stream


def test_secrets_are_not_in_the_representation() -> None:
    assert "AbCdEf" not in repr(CAR)
    assert "digest" not in repr(CAR)


def test_our_lines_are_those_of_openssl() -> None:
    assert write_welcome(Role.CAR, TOKEN, b"NETPASS", "DEMO") == b"MP-C 0 %b %b DEMO\r\n" % (TOKEN, PROOF)
    answer = b"MP-S 0 0123456789abcdefghijkl v2DpP7hrjWBKNPO9Ffvrdg==\r\n"
    assert write_answer(b"0123456789abcdefghijkl", b"NETPASS") == answer
    assert read_answer(answer) == (b"0123456789abcdefghijkl", base64.b64decode("v2DpP7hrjWBKNPO9Ffvrdg=="))


@pytest.mark.parametrize(
    "line", [b"", b"MP-S", b"MP-S 1 a AAAA", b"MP-S 0 a", b"MP-S 0 a AAAA b", b"MP-C 0 a AAAA", b"MP-S 0 a A", b"AP-X"]
)
def test_what_is_no_answer_is_refused(line: bytes) -> None:
    with pytest.raises(BadWelcome):
        read_answer(line)
