"""How a vehicle is shown in a terminal. Pure.

What a vehicle or somebody else has written is shown without the characters that a terminal obeys.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ovms.records import RECORDS
from ovms.records.columns import Flags

# Of each record that which people look at, in this order.
SHOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "S": (
        *("soc", "estimated_range", "ideal_range", "charge_state", "charge_mode", "charge_power", "charge_energy"),
        *("time_to_full", "battery_voltage", "battery_current", "soh"),
    ),
    "D": (
        *("doors_1", "doors_2", "speed", "odometer", "parking_time", "battery_temperature", "ambient_temperature"),
        *("cabin_temperature", "voltage_12v"),
    ),
    "L": ("latitude", "longitude", "altitude", "direction", "battery_power"),
}
_COLUMNS: Final = {(code, field.name): field.column for code in SHOWN for field in RECORDS[code].fields}


def plain(value: object) -> Text:
    """A value as text that a terminal only shows."""
    return Text("".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in str(value)))


def vehicles_table(vehicles: Iterable[Mapping[str, Any]]) -> Table:
    """Vehicles, and who is connected to each."""
    table = Table("Vehicle", "Owner", "Car", "Apps", box=None, header_style="bold")
    for one in vehicles:
        table.add_row(plain(one["id"]), plain(one["owner"]), _connected(one), plain(one["apps"]))
    return table


def vehicle_view(
    vehicle: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]], sealed: Iterable[str], now: datetime
) -> RenderableType:
    """A vehicle: who is connected, and what it sent last, by the codes of its messages."""
    head = Text.assemble((str(plain(vehicle["id"])), "bold"), ": car ", _connected(vehicle), f", apps {vehicle['apps']}")
    table = Table(box=None, show_header=False)
    for code, names in SHOWN.items():
        if (reading := records.get(code)) is not None:
            for title, value in _rows(code, names, reading):
                table.add_row(title, plain(value), _age(reading["received_at"], now), style=None)
    shut = sorted(sealed)
    return Group(head, table, *([Text(f"encrypted: {', '.join(shut)}", style="dim")] if shut else []))


def _rows(code: str, names: Iterable[str], reading: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    values, units = reading["values"], reading["units"]
    for name in names:
        column, value = _COLUMNS[code, name], values.get(name)
        if value is None:
            continue
        if isinstance(column, Flags):
            yield column.title, ", ".join(bit.title for bit in column.bits if value & bit) or "nothing"
        else:
            yield column.title, f"{value} {units.get(name, '')}".rstrip()


def _connected(vehicle: Mapping[str, Any]) -> Text:
    return Text("connected", style="green") if vehicle["connected"] else Text("away", style="yellow")


def _age(received_at: str, now: datetime) -> Text:
    seconds = max(0, int((now - datetime.fromisoformat(received_at).astimezone(UTC)).total_seconds()))
    for size, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return Text(f"{seconds // size} {name} ago", style="dim")
    return Text(f"{seconds} s ago", style="dim")
