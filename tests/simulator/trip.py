"""The history record that firmware makes of a trip (user guide, Notifications, Trip history log)."""

from typing import Final

from simulator.journey import CAPACITY, Moment
from simulator.telemetry import FULL_RANGE
from simulator.temperatures import ambient_temperature

LIFETIME: Final = 30 * 86_400


def trip_record(moment: Moment) -> str:
    """The record of a trip, from its last moment: `<type>,<version>,<lifetime>,<36 columns>`."""
    place = moment.position.place
    ambient = ambient_temperature(moment)
    energies = (moment.energy_used, moment.energy_recovered)
    totals = (0.19 * moment.odometer, 0.03 * moment.odometer)
    columns = (
        *("1", f"{place.latitude:.8f}", f"{place.longitude:.8f}", f"{place.altitude:.1f}", ""),
        *(f"{moment.odometer:.1f}", f"{moment.trip:.1f}", f"{moment.since:.0f}", "1"),
        *(f"{moment.soc:.1f}", *(f"{FULL_RANGE * share:.1f}" for share in (0.0092 * moment.soc, 0.01 * moment.soc, 1))),
        *(f"{energy:.3f}" for energy in energies),
        *(f"{1000 * energy / 380:.3f}" for energy in energies),
        *("97.500", "good", f"{1000 * CAPACITY / 380:.3f}"),
        *(f"{energy:.3f}" for energy in totals),
        *(f"{1000 * energy / 380:.3f}" for energy in totals),
        *(f"{ambient + more:.1f}" for more in (0, 6, 8, 18, 32, 0, 12, 13)),
        *("245.0", "255.0", "96", "98"),
    )
    return ",".join(("*-LOG-Trip", "1", str(LIFETIME), *columns))
