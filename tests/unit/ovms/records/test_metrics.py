"""The firmware's names: each once, each of a field that there is, each with the field's own value."""

from collections import Counter

from ovms.records import RECORDS, Environment, State, decode
from ovms.records.metrics import METRICS


def test_no_name_comes_twice() -> None:
    names = Counter(metric.name for metrics in METRICS.values() for metric in metrics)
    assert names.most_common(1)[0][1] == 1


def test_every_name_that_is_declared_has_its_field() -> None:
    # A name of a field that does not exist would be dropped without a word.
    counts = {code: len(metrics) for code, metrics in METRICS.items()}
    assert counts == {"S": 29, "D": 35, "L": 16, "Y": 4, "F": 8, "X": 24}
    assert METRICS.keys() < RECORDS.keys()


def test_a_bit_is_yes_or_no_and_unknown_where_its_byte_is() -> None:
    metrics = {metric.name: metric for metric in METRICS["D"]}
    known, unknown = decode(Environment, "128,8"), decode(Environment, "")
    assert metrics["v.e.on"].value(known) is True
    assert metrics["v.d.fl"].value(known) is False
    assert metrics["v.e.locked"].value(known) is True
    assert metrics["v.e.on"].value(unknown) is None


def test_a_number_is_the_fields() -> None:
    (soc,) = [metric for metric in METRICS["S"] if metric.name == "v.b.soc"]
    assert (soc.unit, soc.value(decode(State, "62.5"))) == ("%", 62.5)
