"""What the car says of its equipment: tyres, module, commands and generator."""

from typing import Final

from ovms.records import AlertLevel, Capabilities, Firmware, FourTyres, Freshness, Generator, Tyres
from simulator.controls import Controls
from simulator.journey import Moment
from simulator.temperatures import ambient_temperature, warmth

PSI_PER_KPA: Final = 0.145038


def tyres(moment: Moment, controls: Controls) -> Tyres:
    """Y."""
    return Tyres(
        wheels=("fl", "fr", "rl", "rr"),
        pressures=_pressures(moment),
        pressures_freshness=Freshness.FRESH,
        temperatures=_tyre_temperatures(moment),
        temperatures_freshness=Freshness.FRESH,
        healths=(98.0, 98.0, 96.0, 97.0),
        healths_freshness=Freshness.FRESH,
        alerts=(AlertLevel.NONE,) * 4,
        alerts_freshness=Freshness.FRESH,
        sensors=(0, 1, 2, 3),
        sensors_freshness=Freshness.FRESH,
    )


def four_tyres(moment: Moment, controls: Controls) -> FourTyres:
    """W."""
    front_left, front_right, rear_left, rear_right = (round(kpa * PSI_PER_KPA, 1) for kpa in _pressures(moment))
    warm_fl, warm_fr, warm_rl, warm_rr = _tyre_temperatures(moment)
    return FourTyres(
        front_right_pressure=front_right,
        front_right_temperature=warm_fr,
        rear_right_pressure=rear_right,
        rear_right_temperature=warm_rr,
        front_left_pressure=front_left,
        front_left_temperature=warm_fl,
        rear_left_pressure=rear_left,
        rear_left_temperature=warm_rl,
        freshness=Freshness.FRESH,
    )


def firmware(moment: Moment, controls: Controls) -> Firmware:
    """F."""
    return Firmware(
        version="3.3.005/simulator",
        vin="SIM00000000000001",
        signal=24,
        can_write=False,
        vehicle_type="DEMO",
        network="Simulated",
        service_range=max(0, round(30_000 - moment.odometer)),
        service_time=None,
        hardware="simulator",
        modem_mode="WiFi",
    )


def capabilities(moment: Moment, controls: Controls) -> Capabilities:
    """V."""
    return Capabilities(("C1-7", "C10-12", "C15-16", "C18-24"))


def generator(moment: Moment, controls: Controls) -> Generator:
    """X: the car never delivers power."""
    return Generator(
        generating=False,
        pilot=False,
        voltage=0,
        current=0,
        power=0,
        efficiency=0,
        connection=None,
        state="stopped",
        substate="onrequest",
        mode="standard",
        current_limit=0,
        range_limit=0,
        soc_limit=0,
        energy=0,
        grid_energy=0,
        grid_energy_total=0,
        duration=0,
        timer=False,
        timer_start=0,
        time_to_empty=0,
        time_to_range_limit=0,
        time_to_soc_limit=0,
        temperature=round(ambient_temperature(moment)),
        end=None,
    )


def _tyre_temperatures(moment: Moment) -> tuple[float, ...]:
    warm = ambient_temperature(moment) + 12 * warmth(moment)
    return tuple(round(warm + more) for more in (1, 1, 0, 0))


def _pressures(moment: Moment) -> tuple[float, ...]:
    return tuple(round(cold + 5 * warmth(moment), 1) for cold in (240.0, 241.5, 250.0, 249.0))
