"""X as TransmitMsgGen of the firmware prints it."""

from dataclasses import asdict

from ovms.records import Generator, decode

EXPORTING = "1,1,230,15.5,3.5,96.0,chademo,exporting,onrequest,standard,16.0,100.0,30,1.5,1.4,88.8,1800,0,0,300,240,200,28.5,-1"


def test_whole_record() -> None:
    assert asdict(decode(Generator, EXPORTING)) == {
        "generating": True,
        "pilot": True,
        "voltage": 230.0,
        "current": 15.5,
        "power": 3.5,
        "efficiency": 96.0,
        "connection": "chademo",
        "state": "exporting",
        "substate": "onrequest",
        "mode": "standard",
        "current_limit": 16.0,
        "range_limit": 100.0,
        "soc_limit": 30,
        "energy": 1.5,
        "grid_energy": 1.4,
        "grid_energy_total": 88.8,
        "duration": 1800,
        "timer": False,
        "timer_start": 0,
        "time_to_empty": 300,
        "time_to_range_limit": 240,
        "time_to_soc_limit": 200,
        "temperature": 28.5,
        "end": None,
    }


def test_an_idle_module() -> None:
    generator = decode(Generator, "0,0,0,0.0,0.0,0.0,,stopped,,standard")

    assert (generator.connection, generator.state, generator.substate) == (None, "stopped", None)
