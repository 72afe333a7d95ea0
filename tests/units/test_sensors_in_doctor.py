"""What `tray doctor` says of a sensor."""

from fallow.tray.checkup import sensor_findings, sight
from fallow.tray.status import AgentStatus, SensorStatus


def test_each_sensor_with_its_last_event() -> None:
    assert sight(SensorStatus("pynput", True), 1000.0) == "sees this desk; no event yet"
    seen = SensorStatus("pynput", True, last_activity=910.2)
    assert sight(seen, 1000.0) == "sees this desk; last event 1m30s ago"
    # The wall clock may have been set back.
    assert sight(seen, 900.0).endswith("last event 0s ago")
    blind = SensorStatus("pynput", False, "no X server at :0", last_activity=995.0)
    assert sight(blind, 1000.0) == "no X server at :0; last event 5s ago"


def test_where_nobody_sits_no_sensor_is_missed() -> None:
    blind = SensorStatus("logind", False, "there is no system bus")
    seeing = SensorStatus("terminals", True)
    status = AgentStatus("idle", "online", "away", sensors=(blind, seeing))
    found = sensor_findings(status, desk=True, now=0.0)
    assert [each.good for each in found] == [False, True, True]
    found = sensor_findings(status, desk=False, now=0.0)
    assert [each.good for each in found] == [True, True, True]
    assert "no system bus" in found[0].text
    assert "desk = false" in found[0].text
    assert "desk = false" not in found[1].text
