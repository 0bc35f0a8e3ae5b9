"""The channels of Redis and what is published on them, declared once; docs/asyncapi.yaml is made from it."""

from typing import Final

from ovms.bus.declaration import (
    BYTES,
    COUNT,
    NAME,
    Channel,
    Field,
    Json,
    Message,
    Parameter,
    Schema,
    Service,
    Words,
    json_object,
)

VERSION: Final = "2.0.0"
"""Of the public channels: the first number changes where a subscriber has to."""

_CAR, _GATEWAY = Service.CAR_PROTOCOL, Service.API_GATEWAY

# ---- values

_TIME: Final[Schema] = {"type": "number", "minimum": 0}
_MICROSECONDS: Final[Schema] = {"type": "string", "pattern": r"^[0-9]+\.[0-9]{6}$"}
_FLAG: Final[Schema] = {"type": "integer", "enum": [0, 1]}
_NAME_OR_NULL: Final[Schema] = {"type": ["string", "null"]}
_DATE: Final[Schema] = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}
_DATE_OR_NULL: Final[Schema] = {**_DATE, "type": ["string", "null"]}
_CONNECTED: Final[Schema] = {
    "type": "object",
    "additionalProperties": {"type": "array", "items": COUNT, "minItems": 3, "maxItems": 3},
}

_SESSION: Final = Field("session", COUNT, "the number of the car's session that it is for", 1785747907123)
_KEY: Final = Field("vehicle", COUNT, "the vehicle's key in PostgreSQL", 17)
_REPLICA: Final = Field("replica", NAME, "the replica that says this, and to which an answer goes", "5f2c8e0a91b3d764")
_PEER: Final = Field("peer", COUNT, "the number of a peer at its replica", 42)
_QUESTION: Final = Field("question", COUNT, "the number that the question and its answer have", 43)

# What has not been written yet of a code.
_KEPT: Final[Schema] = {
    "type": "array",
    "items": [
        {**BYTES, "minLength": 1, "description": "the message, in Latin-1"},
        {**_TIME, "description": "the Unix time at which it came"},
        {**_NAME_OR_NULL, "description": "the name of the key that it is sealed with; null: it is not sealed"},
        {**COUNT, "description": "the number of the car's session"},
        {**COUNT, "description": "that of the message in the session"},
    ],
    "minItems": 5,
    "maxItems": 5,
}
_UNWRITTEN: Final = json_object(
    Field("session", COUNT, "the number of the car's session, 0 where it is not connected there", 1785747907123),
    Field("number", COUNT, "that of the last message of the session; later ones are published after the answer", 57),
    Field("token", _NAME_OR_NULL, "the name of the car's key of paranoid mode, empty outside it; null: not known there", ""),
    Field("parts", {**COUNT, "minimum": 1}, "how many bodies the answer has, each of at most 256 KiB or with one message", 1),
    Field("messages", {"type": "array", "items": _KEPT}, "the newest message of each code, or a part of them", []),
)
_UNWRITTEN_EXAMPLE: Final = (
    '{"session": 1785747907123, "number": 57, "token": "", "parts": 1, '
    '"messages": [["S75.5,K", 1785747907.25, null, 1785747907123, 56]]}'
)

_TRACEPARENT: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

# ---- channels

_VERSION: Final = r"^\d+-\d+ "
_VERSION_EXAMPLE: Final = "1785747907123-57 "

_VEHICLE: Final = (
    Parameter("vehicle", "The vehicle's id in upper case.", "DEMO"),
    Parameter("number", "The vehicle's number in PostgreSQL, which no other vehicle ever has.", "17"),
)

MESSAGES: Final = Channel(
    "messages",
    "ovms:{{vehicle}}:{number}:messages",
    "What a car sends to all its watchers: `<session>-<number> <message>`, the version, a blank, the message as apps get it.",
    _VEHICLE,
    (
        Message(
            "state",
            "A record of the car's state, by its code; the known ones are in records.md.",
            _VERSION + r"[^ACEGHPacghp][\s\S]*$",
            _VERSION_EXAMPLE + "S75.5,K,230,16,charging,standard",
        ),
        Message(
            "notification",
            "`P`, the type (`A` alert, `E` error, `I` information), then the text. Its version is `0-0` where an app or a "
            "script sends it while the car is not connected to the same replica.",
            _VERSION + r"P[\s\S]*$",
            _VERSION_EXAMPLE + "PACharging has been interrupted",
        ),
        Message(
            "answer",
            "An answer to a command of nobody who is known: `c<number>,<result>`.",
            _VERSION + r"c[\s\S]*$",
            _VERSION_EXAMPLE + "c7,0,done",
        ),
        Message(
            "key",
            "`ET<token>`: the name of the key that car and apps seal with.",
            _VERSION + r"ET[\s\S]+$",
            _VERSION_EXAMPLE + "ETq3nXvB",
        ),
        Message(
            "sealed",
            "`EM<code><data>`: a message that only its code tells of.",
            _VERSION + r"EM[^ACEGHPTZafghp][\s\S]+$",
            _VERSION_EXAMPLE + "EMDr7YkQw==",
        ),
        Message(
            "position",
            "No message: numbers up to this one were given, and some of these messages may have been dropped. The newest state "
            "is to be read elsewhere by a subscriber that lacks one.",
            _VERSION + "$",
            _VERSION_EXAMPLE,
        ),
    ),
    publishers=(_CAR,),
    subscribers=(_CAR, _GATEWAY),
    is_public=True,
)

PEERS: Final = Channel(
    "peers",
    "ovms:{{vehicle}}:{number}:peers",
    "Who is connected to a vehicle, at every change.",
    _VEHICLE,
    (
        Json(
            "peers",
            "How many of each kind are connected now, at all replicas.",
            (
                Field("vehicle", BYTES, "the vehicle's id; upper and lower case do not matter", "DEMO"),
                Field(
                    "at",
                    _MICROSECONDS,
                    "the Unix time of Redis at which this was so; of two the later one holds",
                    "1785747907.123456",
                ),
                Field("car", _FLAG, "1: the car is connected", 1),
                Field("apps", COUNT, "interactive apps, HTTP sessions among them", 3),
                Field("batch", COUNT, "batch clients", 0),
                Field("http", COUNT, "HTTP sessions", 1),
                Field(
                    "session", COUNT, "the number of the car's newest session, greater than all before; 0: none", 1785747907123
                ),
                Field(
                    "http_until",
                    _TIME,
                    "the Unix time at which the first of the HTTP sessions' leases ends; 0: none",
                    1785748207.5,
                    is_internal=True,
                ),
                Field(
                    "replicas",
                    _CONNECTED,
                    "by replica: the car's session there (0: none), apps, batch clients",
                    {"5f2c8e0a91b3d764": [1785747907123, 2, 0]},
                    is_internal=True,
                ),
            ),
        ),
    ),
    publishers=(_CAR, _GATEWAY),
    subscribers=(_CAR, _GATEWAY),
    is_public=True,
)

COMMAND_STATES: Final = ("queued", "sent", "succeeded", "failed", "unsupported", "expired", "unknown", "cancelled")

COMMANDS: Final = Channel(
    "commands",
    "ovms:{{vehicle}}:{number}:commands",
    "What becomes of the commands that the HTTP API has taken for a vehicle, at every change.",
    _VEHICLE,
    (
        Json(
            "command",
            "A command as it is now, as the HTTP API shows it; nothing of it is secret.",
            (
                Field("id", NAME, "its id in the HTTP API", "0b7f6d0e-4c9b-4c55-9f0b-6a5d2f0f3b1a"),
                Field("vehicle", NAME, "the vehicle's id, as its owner spells it", "DEMO"),
                Field("kind", NAME, "what the vehicle is to do", "set_charge_mode"),
                Field(
                    "arguments",
                    {"type": "object"},
                    "the arguments by name, those that may be secret left out",
                    {"mode": "range"},
                ),
                Field(
                    "scope",
                    {"type": "string", "enum": ["control", "admin"]},
                    "the scope without which it is not shown",
                    "control",
                ),
                Field("actor", BYTES, "the name of who asked for it", "demo"),
                Field("state", {"type": "string", "enum": list(COMMAND_STATES)}, "what has become of it", "succeeded"),
                Field("revision", COUNT, "grows with every change: of two bodies of one command the greater one holds", 3),
                Field("created_at", _DATE, "when it was asked for, RFC 3339", "2026-08-03T09:05:07.120Z"),
                Field("expires_at", _DATE, "until when it may be sent", "2026-08-03T09:06:07.120Z"),
                Field("sent_at", _DATE_OR_NULL, "when it was sent; null: it is not", "2026-08-03T09:05:07.123Z"),
                Field(
                    "finished_at",
                    _DATE_OR_NULL,
                    "when it was known what became of it; null: it is not",
                    "2026-08-03T09:05:08.5Z",
                ),
                Field("result", {"type": ["integer", "null"]}, "the result of protocol v2; null: the vehicle has said none", 0),
                Field(
                    "text", _NAME_OR_NULL, "the vehicle's words; null: none, or they are for `admin` alone", "Charge mode set"
                ),
            ),
        ),
    ),
    publishers=(_GATEWAY,),
    subscribers=(_GATEWAY,),
    is_public=True,
)

REPLICA: Final = Channel(
    "replica",
    "ovms:replica:{replica}",
    "For one replica, from the others.",
    (Parameter("replica", "The replica's name, new at every start.", "5f2c8e0a91b3d764"),),
    (
        Words(
            "car",
            # Of two replicas that both believe to have the car only one has that session.
            "A peer elsewhere says this to the car; delivered at most once, since it names the session that it is for.",
            (
                _SESSION,
                _KEY,
                _REPLICA,
                _PEER,
                Field("message", BYTES, "the message: one byte of code, then the data", "C7,SYSTEM"),
            ),
        ),
        Words(
            "peer",
            "For a peer that is connected here.",
            (_PEER, Field("message", BYTES, "the message: one byte of code, then the data", "c7,0,done")),
        ),
        Words("unwritten", "What of this car's state is not in PostgreSQL yet?", (_KEY, _REPLICA, _QUESTION)),
        Words(
            "written",
            "The answer: all that was not in it; what else had come is in PostgreSQL now.",
            (_QUESTION, Field("told", _UNWRITTEN, "JSON", _UNWRITTEN_EXAMPLE)),
        ),
    ),
    publishers=(_CAR, _GATEWAY),
    subscribers=(_CAR, _GATEWAY),
)

GROUP: Final = Channel(
    "group",
    "ovms:group:{group}",
    "Cars of a group, and those who ask for them.",
    (Parameter("group", "The group's name in upper case; it may be any bytes.", "FRIENDS"),),
    (
        Words(
            "update",
            "The newest update of a car.",
            (
                _REPLICA,
                Field(
                    "message", BYTES, "as subscribers get it: `g<vehicle>,<GROUP>,<data>`", "gDEMO,FRIENDS,75.5,22.27,114.18"
                ),
            ),
        ),
        Words("ask", "A peer wants the newest updates: every other replica sends it those of its cars.", (_REPLICA, _PEER)),
    ),
    publishers=(_CAR,),
    subscribers=(_CAR,),
)

TRACES: Final = Channel(
    "traces",
    "ovms:{{vehicle}}:{number}:traces",
    "Of which trace a message is, right before it; published only where traces are wanted.",
    _VEHICLE,
    (
        Words(
            "trace",
            "The next message of the vehicle is traced.",
            (
                Field("code", COUNT, "the code of that message, as the number of its byte", 83),
                Field("traceparent", BYTES, "the span that has published it (W3C Trace Context)", _TRACEPARENT),
            ),
        ),
    ),
    publishers=(_CAR,),
    subscribers=(_GATEWAY,),
)

REMOVALS: Final = Channel(
    "removals",
    "ovms:removals",
    "Vehicles that were removed: their sessions and streams end at once.",
    (),
    (Words("removed", "This vehicle was removed.", (_KEY,)),),
    publishers=(_GATEWAY,),
    subscribers=(_CAR, _GATEWAY),
)

REVOCATIONS: Final = Channel(
    "revocations",
    "ovms:{owner:{owner}}:revocations",
    "A credential or a share of an owner was revoked: open connections that rest on one are re-checked at once.",
    (Parameter("owner", "The owner's key in PostgreSQL.", "7"),),
    (Message("revoked", "Nothing: PostgreSQL has what still stands.", r"^$", ""),),
    publishers=(_GATEWAY,),
    subscribers=(_CAR, _GATEWAY),
)

CHANNELS: Final = (MESSAGES, PEERS, COMMANDS, REPLICA, GROUP, TRACES, REMOVALS, REVOCATIONS)
