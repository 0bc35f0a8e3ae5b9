"""What a message causes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from car_protocol.actions.history import LATEST, record, record_acknowledged
from car_protocol.actions.notification import notify
from car_protocol.actions.ping import answer_ping, ignore
from car_protocol.actions.relay import to_car
from car_protocol.actions.state import LONGEST_STORED, store_and_forward
from fakes.servers import WALL_OFFSET
from ovms.db.writer import HistoryRow
from ovms.identity import Role
from ovms.protocol import ServerSession, Timeouts
from ovms.protocol.commands import MOST_TO_A_CAR
from unit.car_protocol.actions.scenes import NOW, Scene
from unit.ovms.protocol.sessions import SECRET, SERVER_TOKEN, welcome

WALL = int(WALL_OFFSET + NOW)


@pytest.fixture
def scene() -> Scene:
    return Scene()


# ---- state


@pytest.mark.parametrize("message", [b"S75,K", b"D0", b"L", b"W,,", b"Y", b"V", b"X1", b"x1,2,3", b"Z9", b"\xff\x00"])
def test_a_state_is_kept_published_and_sent_on_with_its_age(scene: Scene, message: bytes) -> None:
    store_and_forward(scene.server, scene.room, scene.car, message, NOW)
    assert scene.waiting() == {chr(message[0]): message}
    assert scene.published == [("DEMO", message)]
    assert scene.app.take() == scene.batch.take() == [message, b"T0"]
    assert scene.car.take() == []


def test_the_firmware_is_followed_by_the_servers_version(scene: Scene) -> None:
    store_and_forward(scene.server, scene.room, scene.car, b"F3.3.004,VIN", NOW)
    assert scene.app.take() == scene.batch.take() == [b"F3.3.004,VIN", b"f9.9", b"T0"]
    assert scene.published == [("DEMO", b"F3.3.004,VIN")]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"S75,K,0,0,charging,performance,,280,251", b"S75,K,0,0,charging,performance,280,251"),
        (b"S1,performance,,2,performance,,3", b"S1,performance,2,performance,,3"),
        (b"S75,K,0,0,charging,performance,280", b"S75,K,0,0,charging,performance,280"),
        (b"D75,performance,,280", b"D75,performance,,280"),
    ],
)
def test_the_doubled_comma_of_performance_mode_is_mended_in_s_alone(scene: Scene, sent: bytes, kept: bytes) -> None:
    store_and_forward(scene.server, scene.room, scene.car, sent, NOW)
    assert scene.waiting() == {chr(sent[0]): kept}
    assert scene.app.take() == [kept, b"T0"]
    assert scene.published == [("DEMO", kept)]


@pytest.mark.parametrize(("size", "is_kept"), [(255, True), (1000, True), (LONGEST_STORED, True), (LONGEST_STORED + 1, False)])
def test_a_state_is_kept_up_to_64_kib_and_always_sent_on(scene: Scene, size: int, is_kept: bool) -> None:
    message = b"F" + b"9" * (size - 1)
    store_and_forward(scene.server, scene.room, scene.car, message, NOW)
    assert (scene.waiting() == {"F": message}) is is_kept
    assert scene.published == [("DEMO", message)]
    assert scene.app.take() == [message, b"f9.9", b"T0"]
    assert scene.server.counters.unstored == int(not is_kept)
    assert LONGEST_STORED == 64 * 1024


def test_a_state_needs_no_watcher(scene: Scene) -> None:
    scene.leave(scene.app), scene.leave(scene.batch)
    store_and_forward(scene.server, scene.room, scene.car, b"S1", NOW)
    assert scene.waiting() == {"S": b"S1"}


# ---- history


def test_a_record_is_kept_under_the_present_time_and_nobody_is_told(scene: Scene) -> None:
    record(scene.server, scene.room, scene.car, b"H*-LOG-Grid,1,86400,data,with,commas", NOW)
    assert scene.rows() == [HistoryRow(1, "*-LOG-Grid", 1, WALL, b"data,with,commas", WALL + 86400, None)]
    assert scene.car.take() == scene.app.take() == []


def test_an_acknowledged_record_is_answered_after_its_commit(scene: Scene) -> None:
    record_acknowledged(scene.server, scene.room, scene.car, b"h17,-3600,*-LOG-Trip,5,86400,first,record", NOW)
    assert scene.car.take() == []
    at = WALL - 3600
    assert scene.rows() == [HistoryRow(1, "*-LOG-Trip", 5, at, b"first,record", at + 86400, "17")]
    assert scene.car.take() == [b"h17"]
    assert scene.app.take() == []


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (b"h", b"h"),
        (b"h19", b"h19"),
        (b"h19,0,too,few", b"h19"),
        (b"h19,0,type,1,86400", b"h19"),
        (b"h19,0," + b"t" * 256 + b",1,86400,data", b"h19"),
        (b"h" + b"9" * 300 + b",0,type,1,86400,data", b"h" + b"9" * 255),
    ],
)
def test_a_malformed_record_is_answered_so_that_it_is_not_sent_for_ever(scene: Scene, message: bytes, answer: bytes) -> None:
    record_acknowledged(scene.server, scene.room, scene.car, message, NOW)
    assert scene.car.take() == [answer]
    assert scene.rows() == []
    assert scene.ignored == 1


@pytest.mark.parametrize("message", [b"H", b"Htype", b"Htype,1,86400", b"H" + b"t" * 256 + b",1,86400,data"])
def test_a_malformed_record_without_answer_is_ignored(scene: Scene, message: bytes) -> None:
    record(scene.server, scene.room, scene.car, message, NOW)
    assert (scene.rows(), scene.ignored) == ([], 1)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (b"5", 5),
        (b"-5", -5),
        (b"+5", 5),
        (b" 5", 5),
        (b"5 ", 5),
        (b"5.9", 5),
        (b"5abc", 5),
        (b"007", 7),
        (b"", 0),
        (b"abc", 0),
        (b"-", 0),
        (b"\xff", 0),
        (b"\xd9\xa1", 0),
    ],
)
def test_numbers_are_what_perl_makes_of_them(scene: Scene, text: bytes, number: int) -> None:
    record(scene.server, scene.room, scene.car, b"Htype," + text + b",0,data", NOW)
    assert [row.record_number for row in scene.rows()] == [number]


@given(fields=st.lists(st.binary(max_size=25).map(lambda field: field.replace(b",", b"")), min_size=5, max_size=5))
def test_any_fields_at_all_make_a_row_that_postgresql_takes(fields: list[bytes]) -> None:
    scene = Scene()
    record_acknowledged(scene.server, scene.room, scene.car, b"h" + b",".join([*fields, b"data"]), NOW)
    [row] = scene.rows()
    assert -(2**63) <= row.record_number < 2**63
    assert 0 <= row.recorded_at <= LATEST
    assert 0 <= row.expires_at <= LATEST
    assert "\0" not in row.record_type + (row.ack_code or "")
    assert scene.car.take() == [b"h" + fields[0]]


# ---- to and fro


@pytest.mark.parametrize("message", [b"PIVehicle is charging\rSOC: 75%", b"PAStopped!", b"P", b"PE", b"PUdata"])
def test_a_notification_goes_to_who_watches_and_is_no_state(scene: Scene, message: bytes) -> None:
    notify(scene.server, scene.room, scene.car, message, NOW)
    assert scene.app.take() == scene.batch.take() == [message]
    assert scene.waiting() == {}
    assert scene.published == [("DEMO", message)]


@pytest.mark.parametrize("peer", ["car", "app", "batch"])
def test_a_ping_is_answered_to_who_sent_it(scene: Scene, peer: str) -> None:
    answer_ping(scene.server, scene.room, getattr(scene, peer), b"A whatever", NOW)
    assert {name: getattr(scene, name).take() for name in ("car", "app", "batch")} == {
        "car": [],
        "app": [],
        "batch": [],
        peer: [b"a"],
    }


def test_the_answer_to_our_ping_is_not_counted_as_ignored(scene: Scene) -> None:
    ignore(scene.server, scene.room, scene.car, b"a", NOW)
    assert scene.ignored == 0
    ignore(scene.server, scene.room, scene.car, b"p", NOW)
    assert scene.ignored == 1
    assert scene.car.take() == scene.app.take() == []


def test_a_message_of_an_app_goes_to_the_car_as_it_is(scene: Scene) -> None:
    to_car(scene.server, scene.room, scene.app, b"x\x00\xff,1", NOW)
    assert scene.car.take() == [b"x\x00\xff,1"]
    assert scene.app.take() == scene.batch.take() == []


def test_a_message_for_a_car_that_is_not_here_goes_nowhere(scene: Scene) -> None:
    scene.leave(scene.car)
    to_car(scene.server, scene.room, scene.app, b"x1", NOW)
    assert scene.car.take() == scene.app.take() == []


def test_a_line_to_a_car_fits_its_buffer(scene: Scene) -> None:
    longest = b"x" * MOST_TO_A_CAR
    to_car(scene.server, scene.room, scene.app, longest, NOW)
    to_car(scene.server, scene.room, scene.app, longest + b"x", NOW)
    assert scene.car.take() == [longest]
    assert scene.ignored == 1

    session = ServerSession(NOW, Timeouts())
    session.receive_data(welcome(Role.CAR), NOW)
    session.accept(SECRET, SERVER_TOKEN, NOW)
    session.data_to_send()
    session.send(longest, NOW)
    assert len(session.data_to_send()) < 1024
