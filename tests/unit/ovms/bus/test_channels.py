"""Names of channels and keys."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovms.bus import channels
from ovms.bus.declaration import Channel
from ovms.bus.interface import CHANNELS
from ovms.bus.sessions import session_key
from ovms.identity import fold_vehicle_id

VEHICLE_IDS = st.from_regex(r"[A-Za-z0-9._-]{1,32}", fullmatch=True)

# A channel's parameter, and the function that makes its name of it.
VALUES: dict[str, st.SearchStrategy[str]] = {
    "vehicle": VEHICLE_IDS.map(fold_vehicle_id),
    "replica": st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
    "owner": st.integers(1, 2**63 - 1).map(str),
    "group": st.binary(max_size=64).map(lambda name: name.decode("latin-1")),
}
NAMES: dict[str, Callable[[str], str]] = {
    "messages": channels.messages_channel,
    "peers": channels.peers_channel,
    "commands": channels.commands_channel,
    "traces": channels.traces_channel,
    "replica": channels.replica_channel,
    "revocations": channels.revocations_channel,
    "group": lambda name: channels.group_channel(name.encode("latin-1")).decode("latin-1"),
}
OF_A_VEHICLE = (
    channels.messages_channel,
    channels.peers_channel,
    channels.commands_channel,
    channels.traces_channel,
    channels.connections_key,
    channels.http_key,
    channels.session_key,
)


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.name)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_name_is_the_declared_address_filled_in(channel: Channel, data: st.DataObject) -> None:
    if channel.parameter is None:
        assert channel.filled_in("") == channels.REMOVALS
        return
    value = data.draw(VALUES[channel.parameter.name])
    assert NAMES[channel.name](value) == channel.filled_in(value)


def test_the_examples_are_what_one_types_at_a_command_line() -> None:
    names = [channel.filled_in(channel.parameter.example if channel.parameter else "") for channel in CHANNELS]
    of_a_vehicle = ["ovms:{DEMO}:messages", "ovms:{DEMO}:peers", "ovms:{DEMO}:commands"]
    others = ["ovms:replica:5f2c8e0a91b3d764", "ovms:group:FRIENDS", "ovms:{DEMO}:traces"]
    others += ["ovms:removals", "ovms:{owner:7}:revocations"]
    assert names == [*of_a_vehicle, *others]


@settings(max_examples=50, deadline=None)
@given(vehicle_id=VEHICLE_IDS)
def test_all_names_of_a_vehicle_have_one_tag_however_it_is_spelled(vehicle_id: str) -> None:
    for name_of in OF_A_VEHICLE:
        # Redis takes the first opening brace and the first closing one after it for the ends of a hash tag.
        tag = name_of(vehicle_id).split("{", 1)[1].split("}", 1)[0]
        assert tag == vehicle_id.upper()
        assert name_of(vehicle_id) == name_of(vehicle_id.upper())


@given(owner=st.integers(1, 2**63 - 1))
def test_all_keys_of_an_owner_have_one_tag_which_no_vehicle_has(owner: int) -> None:
    names = (session_key(f"{owner}.x"), channels.owner_sessions_key(owner), channels.revocations_channel(owner))
    assert {name.split("{", 1)[1].split("}", 1)[0] for name in names} == {f"owner:{owner}"}


def test_names_differ() -> None:
    assert len({name_of("DEMO") for name_of in OF_A_VEHICLE}) == len(OF_A_VEHICLE)


def test_the_keys_are_listed() -> None:
    keys = [name_of("DEMO") for name_of in OF_A_VEHICLE if name_of.__name__.endswith("_key")]
    keys += [channels.REPLICAS, channels.READY, channels.replica_vehicles_key("<id>")]
    keys += [channels.owner_sessions_key("<id>"), channels.owner_session_key("<id>", "<sha256>")]
    rows = [line.split("`")[1] for line in (channels.__doc__ or "").splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(keys)
