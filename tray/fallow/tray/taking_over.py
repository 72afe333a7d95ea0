"""What an earlier agent left in the data folder, found and made ready for the next one.

Not what becomes of it (`core` judges every run anew), nor the reading of records (`records`).
"""

from fallow.shared.work import build as builds
from fallow.shared.work import phases
from fallow.shared.work.build import Build, build_id
from fallow.shared.work.phases import Run
from fallow.shared.work.workbench import Workbench
from fallow.tray.records import Records


def take_over(
    records: Records, bench: Workbench, boot_id: str
) -> tuple[list[tuple[Run, bool]], list[tuple[Build, bool]]]:
    """Every run and build, and whether its record is of this boot; what has none is removed."""
    saved_runs, saved_builds = records.load_runs(), records.load_builds()
    for record in saved_runs:
        phase = record.run.phase
        root = phase.manifest if isinstance(phase, phases.Spooled) else None
        bench.found(record.run.attempt, root, record.boot_id == boot_id)
    for built in saved_builds:
        state = built.build.state
        root = state.log if isinstance(state, builds.Built | builds.Failed) else None
        bench.found(build_id(built.build.batch), root, built.boot_id == boot_id)
    known = [each.run.attempt for each in saved_runs]
    known += [build_id(each.build.batch) for each in saved_builds]
    bench.clean_up(records.strays(known))
    return (
        [(each.run, each.boot_id == boot_id) for each in saved_runs],
        [(each.build, each.boot_id == boot_id) for each in saved_builds],
    )
