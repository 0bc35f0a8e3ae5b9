"""The state calls over HTTP: the reference's answers, to the byte."""

import re
from typing import Any

import httpx
import pytest

from fixtures.gateway import Gateway, send_message

STATUS = (
    "S75.5,K,230,16,charging,standard,280,251,16,93,0,43,4,4,0,0,0,0,160.25,200,120,0,0,0,0,0,95,0,0,310,"
    "2,3.6,398.5,98.5,3.7,97.2,-9.1,22,4.3,4.5,1203.4,40.2,0"
)
DOORS = "D213,216,4,45,40,22,1234,456789,88,3600,21,2,1,1,12.8,4,12.7,16,33,1.2,20"
LOCATION = "L22.274165,114.185715,124,34,1,1,88,1234,1,-3.6,1200,320,7.5,93,AA,9,1.1,87,98"
TPMS_W = "W31.2,22,32.1,23,30.9,24,31.7,25,1"
TPMS_Y = "Y4,fl,fr,rl,rr,4,250,251.5,240,241,1,4,30,31,29,28,0,0,-1,4,0,1,2,0,1"
FIRMWARE = "F3.3.004-12-g1a2b3c,WVWZZZAUZFW000001,23,1,VWEG,Hologram,12000,8640000,OVMS v3.1,LTE"

CALLS = ("status", "charge", "location", "tpms", "protocol")


def masked(answer: httpx.Response) -> str:
    """The body with its times and ages replaced."""
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    text = re.sub(r'("m_msgage_\w":)1[01]\b', r"\1<age>", answer.text)
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<time>", text)


async def test_nothing_received(gateway: Gateway) -> None:
    async with await gateway.signed_in() as client:
        for call in CALLS:
            expected = "[]\n" if call == "protocol" else "{}\n"
            assert (await client.get(f"/api/{call}/DEMO")).text == expected


async def test_status(gateway: Gateway) -> None:
    for message in (STATUS, DOORS):
        await send_message(gateway.pool, "DEMO", message)
    async with await gateway.signed_in() as client:
        assert masked(await client.get("/api/status/DEMO")) == (
            '{"alarmsounding":4,"bt_open":64,"cac100":"160.25","carawake":0,"carlocked":8,"caron":128,'
            '"chargestate":"charging","charging":16,"charging_12v":16,"cooldown_active":"0","cp_dooropen":4,'
            '"estimatedrange":"251","fl_dooropen":1,"fr_dooropen":0,"handbrake":64,"idealrange":"280","idealrange_max":"310",'
            '"m_msgage_d":<age>,"m_msgage_s":<age>,"m_msgtime_d":"<time>","m_msgtime_s":"<time>","mode":"standard",'
            '"odometer":"456789","parkingtimer":"3600","pilotpresent":0,"soc":"75.5","soh":"98.5","speed":"88",'
            '"staleambient":"1","staletemps":"1","temperature_ambient":"21","temperature_battery":"22",'
            '"temperature_cabin":"20","temperature_charger":"33","temperature_motor":"40","temperature_pem":"45",'
            '"tr_open":128,"tripmeter":"1234","units":"K","valetmode":16,"vehicle12v":"12.8","vehicle12v_current":"1.2",'
            '"vehicle12v_ref":"12.7"}\n'
        )


async def test_location_with_missing_fields(gateway: Gateway) -> None:
    await send_message(gateway.pool, "DEMO", "L22.27,114.18,1")
    async with await gateway.signed_in() as client:
        assert masked(await client.get("/api/location/DEMO")) == (
            '{"altitude":null,"direction":"1","drivemode":null,"energyrecd":null,"energyused":null,"gpslock":null,'
            '"invefficiency":null,"invpower":null,"latitude":"22.27","longitude":"114.18","m_msgage_l":<age>,'
            '"m_msgtime_l":"<time>","power":null,"speed":null,"stalegps":null,"tripmeter":null}\n'
        )


async def test_tyres(gateway: Gateway) -> None:
    await send_message(gateway.pool, "DEMO", TPMS_W)
    async with await gateway.signed_in() as client:
        assert masked(await client.get("/api/tpms/DEMO")) == (
            '{"fl_pressure":"30.9","fl_temperature":"24","fr_pressure":"31.2","fr_temperature":"22","m_msgage_w":<age>,'
            '"m_msgtime_w":"<time>","rl_pressure":"31.7","rl_temperature":"25","rr_pressure":"32.1","rr_temperature":"23",'
            '"staletpms":"1"}\n'
        )
        await send_message(gateway.pool, "DEMO", TPMS_Y)
        answer: dict[str, Any] = (await client.get("/api/tpms/DEMO")).json()
    assert round(answer["fl_pressure"], 4) == 36.2594
    assert (answer["fl_pressure_kpa"], answer["staletpms"], answer["stale_health"]) == ("250", "1", "-1")
    assert {"m_msgage_w", "m_msgage_y", "m_msgtime_w", "m_msgtime_y"} <= answer.keys()


async def test_charge(gateway: Gateway) -> None:
    for message in ("S75,K,,0,stopped", "D0,8,4,10"):
        await send_message(gateway.pool, "DEMO", message)
    async with await gateway.signed_in() as client:
        answer = (await client.get("/api/charge/DEMO")).json()
    assert (answer["linevoltage"], answer["chargestate"], answer["mode"], answer["caron"]) == ("", "stopped", None, 0)
    assert len(answer) == 60


async def test_protocol_order_and_bytes(gateway: Gateway) -> None:
    for message in (LOCATION, "Va", DOORS, FIRMWARE, STATUS, "xü", b"W\xff"):
        await send_message(gateway.pool, "DEMO", message)
    async with await gateway.signed_in() as client:
        answer = await client.get("/api/protocol/DEMO")
    assert [(row["m_code"], row["m_paranoid"], row["m_ptoken"]) for row in answer.json()] == [
        (code, 0, "") for code in "FSDLVWx"
    ]
    assert '"m_msg":"ü"' in answer.text
    assert answer.json()[5]["m_msg"] == "\ufffd"
    assert list(answer.json()[0]) == ["m_code", "m_msg", "m_msgtime", "m_paranoid", "m_ptoken"]


async def test_paranoid_messages(gateway: Gateway) -> None:
    await send_message(gateway.pool, "DEMO", "Sc2VjcmV0", paranoid_token="token1")
    await send_message(gateway.pool, "DEMO", "Wold", paranoid_token="token0", valid=False)
    async with await gateway.signed_in() as client:
        for call in ("status", "charge"):
            answer = await client.get(f"/api/{call}/DEMO")
            assert (answer.status_code, answer.headers["content-type"], answer.text) == (
                502,
                "text/plain",
                "Paranoid vehicles not supported by api\n",
            )
        assert (await client.get("/api/tpms/DEMO")).text == "{}\n"
        (row,) = (await client.get("/api/protocol/DEMO")).json()
    assert (row["m_code"], row["m_msg"], row["m_paranoid"], row["m_ptoken"]) == ("S", "c2VjcmV0", 1, "token1")


@pytest.mark.parametrize("call", CALLS)
async def test_foreign_and_impossible_vehicles(gateway: Gateway, call: str) -> None:
    await send_message(gateway.pool, "OTHER1", STATUS)
    async with await gateway.signed_in() as client:
        for vehicle in ("OTHER1", "NOSUCH", "", "a%00b", "%C3%A4", "a%20b", "x" * 33, "%2E%2E%2Fetc", "'"):
            answer = await client.get(f"/api/{call}/{vehicle}")
            assert (answer.status_code, answer.text) == (403, "Forbidden\n"), vehicle
        answer = await client.get(f"/api/{call}")
        assert (answer.status_code, answer.text) == (403, "Forbidden\n")


async def test_other_methods_are_unknown_calls(gateway: Gateway) -> None:
    async with await gateway.signed_in() as client:
        for method, path in (
            ("POST", "/api/status/DEMO"),
            ("PUT", "/api/cookie"),
            ("DELETE", "/api/vehicles"),
            ("PUT", "/api/token"),
        ):
            answer = await client.request(method, path)
            assert (answer.status_code, answer.text) == (404, "Unrecognised API call\n")
