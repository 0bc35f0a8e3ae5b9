"""How what is stored is shown, row by row. Pure."""

from typing import Any

from ovms.db.history import HistoryRecord, RecordTypeSummary
from ovms.db.samples import Sample
from ovms.db.traffic import Day
from ovms.records import State, decode
from ovms.records.logs import read_notification, tells_where, without_positions


def render_type(found: RecordTypeSummary) -> dict[str, Any]:
    """A line of the summary."""
    return {
        "record_type": found.record_type,
        "records": found.records,
        "numbers": found.distinct_numbers,
        "bytes": found.size,
        "first": found.first,
        "last": found.last,
        "needs_location": tells_where(found.record_type),
    }


def render_record(record: HistoryRecord) -> dict[str, Any]:
    """A record."""
    return {"recorded_at": record.recorded_at, "number": record.number, "data": record.data.decode("utf-8", "replace")}


def render_notification(record: HistoryRecord, *, with_positions: bool) -> dict[str, Any]:
    """A notification, from the record that keeps it."""
    kind, text = read_notification(record.data.decode("utf-8", "replace"))
    text = text if with_positions else without_positions(text)
    return {"notified_at": record.recorded_at, "number": record.number, "kind": kind, "text": text}


def render_state(sample: Sample) -> dict[str, Any]:
    """A sampled state."""
    record = decode(State, sample.data.decode("utf-8", "replace"))
    return {"recorded_at": sample.recorded_at} | {field.name: getattr(record, field.name) for field in State.fields}


def render_day(day: Day) -> dict[str, Any]:
    """A day's traffic."""
    return {
        "day": day.day,
        "car": {"received": day.car_received, "sent": day.car_sent},
        "apps": {"received": day.apps_received, "sent": day.apps_sent},
    }
