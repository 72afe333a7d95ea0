"""What the tree and the wheel made from it hold: three packages of one namespace, and no traces.

Not how it is set up: that is packaging/setup.sh.
"""

import configparser
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from house.import_rules import ROOTS, TOP

PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]


def tracked() -> list[str]:
    """The files that are committed; in an unpacked source archive, all but what tools leave."""
    if (TOP / ".git").exists() and shutil.which("git"):
        listed = subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", str(TOP), "ls-files", "-z"],
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        return [name for name in listed.split("\0") if name and (TOP / name).is_file()]
    tools = {".venv", "build", "dist", "__pycache__", ".mypy_cache", ".ruff_cache", ".hypothesis"}
    return [
        str(path.relative_to(TOP))
        for path in TOP.rglob("*")
        if path.is_file() and not tools & set(path.relative_to(TOP).parts)
    ]


@pytest.mark.parametrize("folder", [*(f"{root}/fallow" for root in ROOTS), *ROOTS, "packaging"])
def test_no_init_where_the_namespace_begins(folder: str) -> None:
    assert (TOP / folder).is_dir()
    assert not (TOP / folder / "__init__.py").exists()


def test_packaging_holds_no_python() -> None:
    assert list((TOP / "packaging").rglob("*.py")) == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    out = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "--outdir",
            str(out),
            str(TOP),
        ],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("fallow-*-py3-none-any.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


def test_wheel_holds_every_module_and_all_data(wheel: zipfile.ZipFile) -> None:
    product = {
        str(Path(name).relative_to(root))
        for name in tracked()
        for root in ROOTS
        if name.startswith(f"{root}/fallow/")
    }
    packed = set(wheel.namelist())
    assert product - packed == set()
    for package in ("shared", "coordinator", "tray"):
        assert f"fallow/{package}/py.typed" in packed
    assert "fallow/__init__.py" not in packed


def test_wheel_holds_the_icons(wheel: zipfile.ZipFile) -> None:
    icons = [name for name in wheel.namelist() if name.startswith("fallow/tray/ui/icons/")]
    assert {Path(name).suffix for name in icons} == {".svg", ".png"}
    assert len(icons) == 12


def test_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    strays = [
        name
        for name in wheel.namelist()
        if not re.match(r"fallow/(shared|coordinator|tray)/|fallow-[^/]+\.dist-info/", name)
        or "__pycache__" in name
    ]
    assert strays == []


def test_wheel_makes_the_two_scripts(wheel: zipfile.ZipFile) -> None:
    (listed,) = (name for name in wheel.namelist() if name.endswith("/entry_points.txt"))
    scripts = configparser.ConfigParser()
    scripts.read_string(wheel.read(listed).decode())
    assert dict(scripts["console_scripts"]) == {
        "coordinator": "fallow.coordinator.cli:main",
        "tray": "fallow.tray.cli:main",
    }
    for target in scripts["console_scripts"].values():
        assert target.partition(":")[0].replace(".", "/") + ".py" in wheel.namelist()


def test_the_plain_install_needs_no_qt_and_no_psutil() -> None:
    plain = " ".join(PROJECT["dependencies"]).lower()
    for name in ("pyside", "psutil", "pynput", "xlib", "tomlkit"):
        assert name not in plain
        assert name in " ".join(PROJECT["optional-dependencies"]["tray"]).lower()


def requirement_names(requirements: list[str]) -> set[str]:
    names = (re.match(r"[A-Za-z0-9._-]+", line) for line in requirements)
    return {re.sub(r"[-_.]+", "-", found[0]).lower() for found in names if found}


def test_every_requirement_has_an_exact_version() -> None:
    lines = (TOP / "constraints.txt").read_text().splitlines()
    exact = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in exact if not re.fullmatch(r"[A-Za-z0-9._-]+==[^\s=]+", line)] == []
    wanted = requirement_names(PROJECT["dependencies"])
    for group in PROJECT["optional-dependencies"].values():
        wanted |= requirement_names(group)
    assert wanted - {"fallow"} - requirement_names(exact) == set()


# Places of a developer's own machine, and addresses of package registries: neither belongs in a
# file that others read. Written in pieces, so that this file does not find itself.
TRACES = [
    r"(?<![\w.~*-])/(?:" + "work|workspace|mnt/data" + r")/[\w.-]",
    r"(?<![\w.~-])/(?:" + "home|Users" + r")/(?!ana|you|user|USER|\$|\{|<|\.\.\.)[a-z]",
    "(?:pypi" + r"\.org|files\.pythonhosted" + r"\.org|arti" + r"factory|:\d{4}/simple\b)",
]


def traces_in(text: str) -> list[str]:
    return [found[0] for pattern in TRACES for found in re.finditer(pattern, text)]


def test_no_file_names_a_developers_machine_or_a_registry() -> None:
    found = []
    for name in tracked():
        try:
            text = (TOP / name).read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{name}: {trace}" for trace in traces_in(text)]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "see /" + "work/main/x.py",
        "/" + "home/karl/fallow",
        "index-url = https://pypi" + ".org/simple",
        "http://10.0.0.1:8081/" + "simple ",
    ],
)
def test_a_trace_is_found(text: str) -> None:
    assert traces_in(text)


def test_the_work_folder_of_a_job_is_no_trace() -> None:
    assert traces_in("bound at /fallow/" + "work, reads /home/ana/x and /opt/conda") == []
