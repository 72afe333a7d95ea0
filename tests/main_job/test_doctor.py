"""`coordinator doctor` finds what is wrong, and says of what is right that it is."""

from pathlib import Path
from typing import Any

import pytest

from fallow.coordinator.checkup import compared
from fallow.shared.messages import NodesReply
from main_job.conftest import Account, Coordinator
from main_job.web_stand_in import Call, WebStandIn


def checks(account: Account) -> dict[str, dict[str, Any]]:
    found = account.run("doctor", "--json").json["checks"]
    assert len({each["what"] for each in found}) == len(found)
    return {each["what"]: each for each in found}


def test_all_is_well(coordinator: Coordinator) -> None:
    own = checks(coordinator.verbs)
    assert all(each["ok"] for each in own.values()), own
    assert {"clock", "data folder", "files", "server key", "settings", "results"} <= set(own)
    assert {"coordinator", "release", "its clock", "control port", "data port"} <= set(own)
    assert "of this computer only" in own["control port"]["text"]
    theirs = checks(coordinator.account("ana"))
    assert all(each["ok"] for each in theirs.values()), theirs
    assert {"key", "control port", "data port", "coordinator"} <= set(theirs)


def test_nobody_answers(coordinator: Coordinator) -> None:
    ana = coordinator.account("ana")
    coordinator.stop()
    try:
        found = checks(ana)
        assert not found["control port"]["ok"]
        assert "firewall" in found["control port"]["hint"]
        assert not found["coordinator"]["ok"]
        (coordinator.data_dir / "coordinator.toml").write_text('lisen = "x"\n')
        (coordinator.data_dir / "keys/server").chmod(0o644)
        found = checks(coordinator.verbs)
        assert "'listen'" in found["settings"]["hint"]
        assert "chmod 600" in found["server key"]["hint"]
    finally:
        (coordinator.data_dir / "coordinator.toml").unlink()
        (coordinator.data_dir / "keys/server").chmod(0o600)
        coordinator.start()


def test_a_matrix_token_that_is_not_accepted(coordinator: Coordinator) -> None:
    def answer(call: Call) -> tuple[int, dict[str, Any]]:
        assert call.path == "/_matrix/client/v3/account/whoami"
        good = call.token == "Bearer good"
        return (200, {"user_id": "@fallow:hs"}) if good else (401, {"errcode": "M_UNKNOWN_TOKEN"})

    settings = coordinator.data_dir / "coordinator.toml"
    with WebStandIn(answer) as web:
        for token, well in (("good", True), ("bad", False)):
            settings.write_text(f'[matrix]\nhomeserver = "{web.address}"\ntoken = "{token}"\n')
            settings.chmod(0o600)
            found = checks(coordinator.verbs)
            assert found["matrix"]["ok"] == well
            assert ("@fallow:hs" if well else "401") in found["matrix"]["text"]
    settings.chmod(0o644)
    assert not checks(coordinator.verbs)["coordinator.toml"]["ok"]
    settings.unlink()


@pytest.mark.parametrize(
    ("there", "well"), [(1000.0, True), (1004.0, True), (994.0, False), (1100.0, False)]
)
def test_clocks_that_differ(there: float, well: bool) -> None:
    release, clock = compared(NodesReply((), there, "1.0"), "1.0", 999.9, 1000.1)
    assert release.ok
    assert clock.ok == well


def test_releases_that_differ(tmp_path: Path) -> None:
    (release,) = compared(NodesReply(()), "1.0", 0.0, 0.0)
    assert not release.ok
    assert "an older one" in release.text
