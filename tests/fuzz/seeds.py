"""What the fuzzer starts from: the transcripts of tests/vectors, what cars sent in the conformance run, and scripts."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from fuzz.script import MARK, write_steps
from ovms.bus import groups
from ovms.bus.removals import removed
from ovms.bus.replicas import Address, Kept, to_car, to_peer, unwritten, written
from ovms.bus.traces import traced

VECTORS: Final = Path(__file__).parents[1] / "vectors"

# What the cars of the conformance run sent, and more of each kind.
CAR: Final = (
    (
        b"S75.5,K,230,16,charging,standard,280,251,16,93,0,43,4,4,0,0,0,0,160.25,200,120,0,0,0,0,0,95,0,0,310,2,3.6,398.5,98.5,3.7,"
        b"97.2,-9.1,22,4.3,4.5,1203.4,40.2,0"
    ),
    b"S75,K,0,0,stopped,performance,,280",
    b"D213,216,4,45,40,22,1234,456789,88,3600,21,2,1,1,12.8,4,12.7,16,33,1.2,20",
    b"L22.274165,114.185715,124,34,1,1,88,1234,1,-3.6,1200,320,7.5,93,AA,9,1.1,87,98",
    b"W31.2,22,32.1,23,30.9,24,31.7,25,1",
    b"Y4,fl,fr,rl,rr,4,250,251.5,240,241,1,4,30,31,29,28,0,0,-1,4,0,1,2,0,1",
    b"F3.3.004-12-g1a2b3c,WVWZZZAUZFW000001,23,1,VWEG,Hologram,12000,8640000,OVMS v3.1,LTE",
    b"VC1-6,C10-12,C15-24,C40-41,C49",
    b"X1,0,1,0,0,0,1.5,2.5,0",
    b"PIVehicle is charging\rSOC: 75%",
    b"PEVA,123,45",
    b"h17,-3600,*-LOG-Trip,5,86400,first,record",
    b"H*-OVM-DebugCrash,0,86400,one",
    b"c7,0,Command response",
    b"c1,0,0,3,0",
    b"c1,0,2,3,0",
    b"c1,0,1,3,0",
    b"gDEMO,1,2",
    b"ETtoken",
    b"EMSc2VhbGVk",
    b"EMcc2VhbGVk",
    b"EMhc2VhbGVk",
    b"A",
    b"a",
)
APP: Final = (
    b"C7,stat",
    b"C1",
    b"C3",
    b"C20,1234",
    b"C30",
    b"C31,2024-01-01",
    b"C32,*-LOG-Trip,2024-01-01 00:00:00",
    b"GDEMO",
    b"EMCc2VhbGVk",
    b"pabc,apns,production,DEMO,NET,PASS,0123",
    b"pabc,expo,simple,ExponentPushToken[x]",
    b"x1,2",
    b"A",
)
GREETINGS: Final = (
    b"MP-A 1 anna secret *",
    b"MP-B 1 anna secret DEMO",
    b"MP-C 9 abcdefghijklmnopqrstuv AAAAAAAAAAAAAAAAAAAAAA== DEMO",
    b"AP-C 0 VIN00000000000001",
    b"AP-X",
    b"MP-S 1 anna DEMO DEMO EV1",
    b"HELLO THERE",
    b"GET / HTTP/1.1",
)
UPGRADE: Final = (
    b"GET /apiv2 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
HEADS: Final = (
    b"GET /api/cookie?username=a&password=b c HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\r\n\r\nrest",
    b"\r\n\nGET / HTTP/1.0\nHost: x\n\n",
    b"GET / HTTP/1.1\r\nHost: x\n\r\n",
    b"PUT /gr\xc3\xbcn\t HTTP/1.1\r\nA: \r\r\n\r\n",
    b"\r\r\n\n",
)
SINCE: Final = (b"2024-01-31 12:30:15", b"2024-01-31", b"20240131123015", b"2024-01-31T12:30:15.123456", b"2024/1/31 1", b"x")
TABLE: Final = b"[V]\n1=all %d\n[VA]\n1: of it\n  more\n"


def seeds(name: str) -> list[bytes]:
    """Inputs of a target."""
    return _SEEDS[name]


def words(name: str) -> list[bytes]:
    """What a target's inputs are made of."""
    return [MARK, b"MP-C 0 ", b"MP-A 1 ", b"AP-C 0 ", b"\r\n", b"MP-0 ", *(_PARTS.get(name, ()))]


def _lines() -> list[bytes]:
    said = [path.read_bytes() for path in sorted(VECTORS.glob("*.txt"))]
    return [*(line.partition(b"> ")[2] for text in said for line in text.splitlines() if b"> " in line), *GREETINGS]


def _sent_by(side: bytes, name: str) -> list[bytes]:
    lines = (VECTORS / name).read_bytes().splitlines()
    return [line.removeprefix(side) for line in lines if line.startswith(side)]


def _server_scripts() -> list[bytes]:
    car = [message for message in CAR if message[:1] in b"SDhPA"]
    login = [("w", b"\x00DEMO"), ("a", b""), *(("m", message) for message in car), ("s", b"1"), ("t", b""), ("e", b"")]
    user = [("l", GREETINGS[0]), ("u", b""), ("l", b"A"), ("l", b"MP-0 C1"), ("s", b"1")]
    module = [("l", GREETINGS[3]), ("p", b"NETPASS DEMO"), ("l", GREETINGS[3]), ("n", b""), ("w", b"\x01DEMO"), ("a", b"")]
    raw = [("r", line + b"\r\n") for line in _sent_by(b"car> ", "car_session_0x30.txt")]
    return [
        write_steps(*login),
        write_steps(*user),
        write_steps(*module),
        write_steps(raw[0], ("a", "q9+/ZyXwVuTsRqPoNmLkJi NetPäß 2".encode()), *raw[1:]),
        write_steps(*raw, ("a", b"reflected")),
        write_steps(("w", b"\x02DEMO"), ("m", b"early"), ("r", b"x"), ("x", b"")),
        write_steps(("f", b"x"), ("t", b"\xff\xff")),
        write_steps(("w", b"\x00DEMO"), ("a", b""), *[("f", b"x" * 1024)] * 3),
    ]


def _client_scripts() -> list[bytes]:
    raw = [("r", line + b"\r\n") for line in _sent_by(b"srv> ", "app_login_0x30.txt")]
    return [
        write_steps(*raw),
        write_steps(("a", b""), ("m", b"1"), ("m", b"2"), ("s", b"3"), ("e", b"")),
        write_steps(("b", b"")),
        write_steps(("l", GREETINGS[5])),
        write_steps(("a", b""), *[("f", b"x" * 1024)] * 3),
    ]


def _frames() -> list[bytes]:
    text, binary = b"\x81", b"\x82"
    return [
        write_steps(("r", UPGRADE), ("f", text + GREETINGS[0]), ("s", b"Z1\r\nT0")),
        write_steps(("h", b""), ("f", text + b"A"), ("s", b"a"), ("f", b"\x89ping"), ("f", binary + b"C7\xff"), ("c", b"")),
        write_steps(
            ("h", b""), ("l", b"\x00\x00\x10"), ("f", b"\x01S1"), ("f", b"\x8aping"), ("f", b"\x80,2"), ("b", text + b"x")
        ),
        write_steps(("h", b""), ("f", b"\x88\x03\xe8bye"), ("f", text + b"A"), ("s", b"a")),
        write_steps(("h", b""), ("r", b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff1234x")),
        write_steps(*(("r", UPGRADE[start : start + 40]) for start in range(0, len(UPGRADE), 40))),
        *_floods(("h", b""), ("l", b"\x00\x00\x10")),
    ]


def _floods(*login: tuple[str, bytes]) -> list[bytes]:
    """Frames that cost nothing, many at once and over some seconds."""
    cheap = (b"\x89", b"\x8a", b"\x00", b"\x00x")
    return [
        *(write_steps(*login, ("f", b"\x01x"), ("b", frame)) for frame in cheap),
        *(write_steps(*login, ("f", b"\x01x"), *[("f", frame), ("t", b"")] * 4) for frame in cheap),
    ]


def _edge_frames() -> list[bytes]:
    introduction = ("f", b'\x81{"authorization":"Basic x"}')
    return [
        write_steps(introduction, ("k", b""), ("f", b"\x89ping"), ("f", b"\x81later"), ("t", b""), ("f", b"\x88\x03\xe8bye")),
        write_steps(("b", b"\x81x")),
        write_steps(introduction, ("k", b""), ("b", b"\x82x")),
        *_floods(),
        *_floods(introduction, ("k", b"")),
    ]


def _scenes() -> list[bytes]:
    everything = [("m", b"0" + message) for message in CAR] + [("m", b"1" + message) for message in APP]
    commands = [
        ("m", b"1C1"),
        ("m", b"2C7,stat"),
        ("m", b"3C1"),
        ("m", b"0c1,0,0,2,a"),
        ("x", b"1"),
        ("m", b"0c1,0,1,2,b"),
        ("m", b"0c7,0,ok"),
        ("m", b"0c1,1"),
        ("m", b"0c1,1"),
        ("x", b"0"),
        ("m", b"2C7"),
    ]
    groups = [("m", b"1GFleet"), ("m", b"5Gfleet"), ("m", b"0gFLEET,1"), ("m", b"4gfleet,2"), ("x", b"0"), ("j", b"0")]
    sealed = [
        ("m", b"0ETtoken"),
        ("m", b"0EMSc2VhbGVk"),
        ("m", b"1EMCc2VhbGVk"),
        ("m", b"0EMcc2VhbGVk"),
        ("m", b"0EMhc2VhbGVk"),
    ]
    records = [("m", b"0h17,0,*-LOG,5,60,x")] * 3 + [("m", b"0h18"), ("w", b""), ("m", b"4H*-LOG,1,60,y"), ("j", b"6")]
    times = [
        ("t", b"0\x02\x00"),
        ("t", b"0\x02\x00"),
        ("m", b"0A"),
        ("t", b"0\x04\x00"),
        ("f", b"0c7"),
        ("f", b"1x7"),
        ("f", b"2C7,x"),
    ]
    return [
        *(write_steps(*everything[start : start + 12]) for start in range(0, len(everything), 12)),
        *(write_steps(*steps) for steps in (commands, groups, sealed, records, times)),
        write_steps(("r", b"0AAAA\r\n"), ("r", b"2\r\n"), ("r", b"4MP-0 \n")),
    ]


def _bodies() -> list[bytes]:
    """One of each kind that is published."""
    return [
        removed(7),
        b"",
        groups.update("r1", b"1,2"),
        groups.ask(Address("r1", 3)),
        to_car(5, 7, Address("r1", 3), b"C7,stat"),
        to_peer(3, b"c7,0,ok"),
        unwritten(7, "r1", 9),
        *written(9, 5, 2, "token", [Kept(b"S1", 1.5, None, 5, 1)]),
        traced(83, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        b'{"replicas": {"r1": [1, 2, 0]}, "http": 1, "http_until": 2.5, "at": "1.000002"}',
        b'{"id": "1", "scope": "control"}',
        b"5-2 ",
        *(b"5-1 " + message for message in CAR),
    ]


def _forms() -> list[bytes]:
    part = b'--b\r\nContent-Disposition: form-data; name="username"; filename="x"\r\n\r\nanna\r\n--b--\r\n'
    json = b'{"username": "anna", "password": 16.0, "permit": true}'
    return [
        MARK.join((b"application/x-www-form-urlencoded", b"username=anna&password=a%20b+c", b"permit=*")),
        MARK.join((b"multipart/form-data; boundary=b", part, b"")),
        MARK.join((b'multipart/form-data; boundary="b"; x=";"', part * 2, b"username=x")),
        MARK.join((b"application/json; charset=utf-8", json, b"")),
        MARK.join((b"", b"", b"username=\xff%ff&&password")),
    ]


def _texts(messages: Iterable[bytes]) -> list[bytes]:
    return [*messages, *(bytes([number]) + b"\n".join(messages) for number in range(6))]


_SEEDS: Final = {
    "lines": _lines(),
    "server_session": _server_scripts(),
    "client_session": _client_scripts(),
    "records": list(CAR[:9]),
    "views": _texts(CAR[:6]),
    "websocket": _frames(),
    "edge_websocket": _edge_frames(),
    "room": _scenes(),
    "error_codes": [b"VA2,1,45", b"V,9,-1" + MARK + TABLE, b"VA,1,2" + MARK + TABLE],
    "times": list(SINCE),
    "channels": _bodies(),
    "confirmation": [b"code=abc-DEF_123", b"code=%22%3E%3Cscript%3E&x=1", b"code=a&code=b&c&d&e", b"\"'<>&amp;"],
    "forms": _forms(),
    "heads": list(HEADS),
}
_PARTS: Final = {
    "channels": [b"removed ", b"update ", b"ask ", b"car ", b"peer ", b"unwritten ", b"written ", b"trace ", b'{"scope":'],
    "confirmation": [b"code=", b"%22", b"&"],
    "forms": [
        b"multipart/form-data; boundary=b",
        b"--b\r\n",
        b"Content-Disposition: form-data; name=",
        b"application/json",
        b"%41",
    ],
    "heads": [b"\r\n\r\n", b"\r\r\n", b"\n\n", b" HTTP/1.1"],
    "room": [message[:3] for message in (*CAR, *APP)],
    "records": [b",,,,", b"-1.5", b"charging", b"1e9", b"nan"],
    "views": [b",,,,", b"\nY4,", b"\nD", b"\nS", b"\nW"],
    "websocket": [UPGRADE, b"Sec-WebSocket-Extensions: permessage-deflate\r\n", b"\x88\x03\xe8"],
    "error_codes": [b"%d", b"%%", b"[VA]\n", b"\n "],
}
