"""One real SLURM for all tests that submit, and an export of any batch text into a folder.

Not what the pieces are: those are in cluster.py. Without SLURM's programs these tests are skipped,
which counts as a failure in CI.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fallow.coordinator.cli import entry
from slurm.cluster import Cluster, missing_programs
from slurm.exported import ExportedFolder


@pytest.fixture(scope="session")
def cluster() -> Generator[Cluster, None, None]:
    missing = missing_programs()
    if missing:
        pytest.skip(f"no SLURM here: {', '.join(missing)}")
    # Short, since the path of a socket may not be long.
    root = Path(tempfile.mkdtemp(prefix="fallow-slurm-"))
    made = Cluster(root)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def verb(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Calls a verb as on a login node of the cluster and returns the JSON that it prints."""
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)

    def call(*words: str | Path, code: int = 0) -> Any:
        done = CliRunner().invoke(entry, [*map(str, words), "--json"], catch_exceptions=True)
        if code:
            assert done.exception is not None
            return done.exception
        assert done.exit_code == 0, (done.output, done.exception)
        return json.loads(done.stdout)

    return call


@pytest.fixture
def exported(
    cluster: Cluster, verb: Callable[..., Any], tmp_path: Path
) -> Callable[..., ExportedFolder]:
    """Exports the text of a batch file; options are those of the verb."""

    def make(batch: str | Path, *options: str | Path, name: str = "on_cluster") -> ExportedFolder:
        file = batch if isinstance(batch, Path) else tmp_path / "batch.yaml"
        if isinstance(batch, str):
            file.write_text(batch)
        folder = tmp_path / name
        told = verb("export", "slurm", file, folder, *options)
        return ExportedFolder(folder, cluster, verb, told)

    return make


@pytest.fixture
def site(tmp_path: Path) -> Callable[[str], Path]:
    """A site file with this text."""

    def write(text: str) -> Path:
        file = tmp_path / "site.toml"
        file.write_text(text)
        return file

    return write
