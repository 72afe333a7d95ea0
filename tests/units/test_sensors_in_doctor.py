"""What `tray doctor` says of a sensor."""

from fallow.tray.checkup import sight
from fallow.tray.status import SensorStatus


def test_each_sensor_with_its_last_event() -> None:
    assert sight(SensorStatus("pynput", True), 1000.0) == "sees this desk; no event yet"
    seen = SensorStatus("pynput", True, last_activity=910.2)
    assert sight(seen, 1000.0) == "sees this desk; last event 1m30s ago"
    # The wall clock may have been set back.
    assert sight(seen, 900.0).endswith("last event 0s ago")
    blind = SensorStatus("pynput", False, "no X server at :0", last_activity=995.0)
    assert sight(blind, 1000.0) == "no X server at :0; last event 5s ago"
