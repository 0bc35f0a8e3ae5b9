"""Names of channels and keys."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovms.bus import channels
from ovms.bus.declaration import Channel
from ovms.bus.interface import CHANNELS
from ovms.bus.sessions import session_key
from ovms.identity import VehicleName, fold_vehicle_id

VEHICLE_IDS = st.from_regex(r"[A-Za-z0-9._-]{1,32}", fullmatch=True)

# A channel's parameter, and the function that makes its name of it.
VALUES: dict[str, st.SearchStrategy[str]] = {
    "vehicle": VEHICLE_IDS.map(fold_vehicle_id),
    "number": st.integers(1, 2**63 - 1).map(str),
    "replica": st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
    "owner": st.integers(1, 2**63 - 1).map(str),
    "group": st.binary(max_size=64).map(lambda name: name.decode("latin-1")),
}
NAMES: dict[str, Callable[..., str]] = {
    "messages": lambda *name: channels.messages_channel(_named(*name)),
    "peers": lambda *name: channels.peers_channel(_named(*name)),
    "commands": lambda *name: channels.commands_channel(_named(*name)),
    "traces": lambda *name: channels.traces_channel(_named(*name)),
    "removals": lambda: channels.REMOVALS,
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


def _named(vehicle_id: str, number: str) -> VehicleName:
    return VehicleName(vehicle_id, int(number))


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.name)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_name_is_the_declared_address_filled_in(channel: Channel, data: st.DataObject) -> None:
    values = [data.draw(VALUES[parameter.name]) for parameter in channel.parameters]
    assert NAMES[channel.name](*values) == channel.filled_in(*values)


def test_the_examples_are_what_one_types_at_a_command_line() -> None:
    names = [channel.filled_in(*(parameter.example for parameter in channel.parameters)) for channel in CHANNELS]
    of_a_vehicle = ["ovms:{DEMO}:17:messages", "ovms:{DEMO}:17:peers", "ovms:{DEMO}:17:commands"]
    others = ["ovms:replica:5f2c8e0a91b3d764", "ovms:group:FRIENDS", "ovms:{DEMO}:17:traces"]
    others += ["ovms:removals", "ovms:{owner:7}:revocations"]
    assert names == [*of_a_vehicle, *others]


@settings(max_examples=50, deadline=None)
@given(vehicle_id=VEHICLE_IDS, number=st.integers(1, 2**63 - 1))
def test_all_names_of_a_vehicle_have_one_tag_however_it_is_spelled(vehicle_id: str, number: int) -> None:
    for name_of in OF_A_VEHICLE:
        name = name_of(VehicleName(vehicle_id, number))
        # Redis takes the first opening brace and the first closing one after it for the ends of a hash tag.
        assert name.split("{", 1)[1].split("}", 1)[0] == vehicle_id.upper()
        assert name == name_of(VehicleName(vehicle_id.upper(), number))


@settings(max_examples=50, deadline=None)
@given(vehicle_id=VEHICLE_IDS, numbers=st.sets(st.integers(1, 2**63 - 1), min_size=2, max_size=2))
def test_no_name_of_a_vehicle_is_one_of_the_next_with_its_id(vehicle_id: str, numbers: set[int]) -> None:
    former, following = ({name_of(VehicleName(vehicle_id, number)) for name_of in OF_A_VEHICLE} for number in numbers)
    assert former.isdisjoint(following)


@given(owner=st.integers(1, 2**63 - 1))
def test_all_keys_of_an_owner_have_one_tag_which_no_vehicle_has(owner: int) -> None:
    names = (session_key(f"{owner}.x"), channels.owner_sessions_key(owner), channels.revocations_channel(owner))
    assert {name.split("{", 1)[1].split("}", 1)[0] for name in names} == {f"owner:{owner}"}


def test_names_differ() -> None:
    assert len({name_of(VehicleName("DEMO", 17)) for name_of in OF_A_VEHICLE}) == len(OF_A_VEHICLE)


def test_the_keys_are_listed() -> None:
    keys = [name_of(VehicleName("DEMO", 17)) for name_of in OF_A_VEHICLE if name_of.__name__.endswith("_key")]
    keys += [channels.REPLICAS, channels.READY, channels.replica_vehicles_key("<id>")]
    keys += [channels.owner_sessions_key("<id>"), channels.owner_session_key("<id>", "<sha256>")]
    rows = [line.split("`")[1] for line in (channels.__doc__ or "").splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(keys)
