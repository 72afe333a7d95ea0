"""A store, blobs and a results tree in a folder of the test's own.

Not a coordinator: those tests are in tests/main_job.
"""

from collections.abc import Generator
from pathlib import Path

import pytest

from fallow.coordinator.results import Results
from fallow.coordinator.store import NAME, Store
from fallow.shared.blobs import BlobStore


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    with Store(tmp_path / NAME) as opened:
        yield opened


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


@pytest.fixture
def results(tmp_path: Path, blobs: BlobStore) -> Results:
    return Results(tmp_path / "results", blobs)
