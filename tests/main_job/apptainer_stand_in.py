"""A stand-in for apptainer, which cannot be installed where these tests run. Not apptainer.

It takes the argument list of `apptainer run` and enforces what the real one does: only the options
that it has, an app that the image has, a root that nobody writes to, exactly the folders bound,
the home and /tmp of the account unless it is told to contain, the exit code. bubblewrap makes
the view; there is no PID namespace, as apptainer makes none. An image is a tar, plain or packed.
"""

import ctypes
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
WORDS = "stand-in-words"
"""Where, below its own folder, the stand-in notes the words that it was called with."""


def refuse(text: str) -> NoReturn:
    print(f"FATAL:   {text}", file=sys.stderr)
    sys.exit(255)


def parse(words: Sequence[str]) -> tuple[str, list[tuple[str, str, str]], bool, str, list[str]]:
    """App, binds, whether --nv, image, arguments."""
    if not words or words[0] != "run":
        refuse(f"unknown command {words[:1]}")
    app, binds, graphics = "", [], False
    rest = list(words[1:])
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "--nv":
            graphics = True
        elif option == "--app":
            app = rest.pop(0)
        elif option == "--bind":
            for spec in rest.pop(0).split(","):
                source, target, mode = spec.split(":")
                if mode not in {"ro", "rw"} or not os.path.isabs(target):
                    refuse(f"while parsing bind path: {spec}")
                binds.append((source, target, mode))
        else:
            refuse(f"unknown flag: {option}")
    if not rest:
        refuse("requires at least 1 arg(s), only received 0")
    return app, binds, graphics, rest[0], rest[1:]


def told(key: str) -> str:
    """What a variable tells this program; its name depends on what it is called as."""
    return os.environ.get(f"{Path(sys.argv[0]).name.upper()}_{key}", "")


def view(root: Path, binds: Iterable[tuple[str, str, str]]) -> list[str]:
    """The options of bubblewrap. Folders to bind to are made, as apptainer's underlay does."""
    scratch = told("WORKDIR")
    contained = told("CONTAIN") == "true"
    home = os.environ.get("HOME", "/root")
    shown = [(home, home, "rw"), ("/tmp", "/tmp", "rw"), (os.getcwd(), os.getcwd(), "rw")]
    if contained:
        if not scratch:
            refuse("this stand-in contains only with a folder to work in")
        shown = [(f"{scratch}/home", home, "rw"), (f"{scratch}/tmp", "/tmp", "rw")]
    options = []
    for source, target, mode in (*shown, *binds):
        if not os.path.exists(source):
            refuse(f"mount source {source} doesn't exist")
        (root / target.lstrip("/")).mkdir(parents=True, exist_ok=True)
        options += ["--bind" if mode == "rw" else "--ro-bind", source, target]
    for name in ("proc", "dev"):
        (root / name).mkdir(exist_ok=True)
    network = ["--unshare-net"] if told("NET") == "true" and told("NETWORK") == "none" else []
    system = ["--ro-bind", str(root), "/", "--proc", "/proc", "--dev", "/dev"]
    return [*network, *system, *options, "--remount-ro", "/", "--chdir", "/"]


def main() -> int:
    own = Path(sys.argv[0]).resolve().parent
    with (own / WORDS).open("a") as noted:
        print(*sys.argv[1:], file=noted)
    app, binds, graphics, image, args = parse(sys.argv[1:])
    if graphics and not (own / "has-a-gpu").exists():
        print("INFO:    could not find any nv files on this host!", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="apptainer-stand-in-", dir=own) as folder:
        root = Path(folder)
        try:
            with tarfile.open(image) as packed:
                packed.extractall(root, filter="tar")
        except (OSError, tarfile.TarError) as error:
            refuse(f"could not open image {image}: {error}")
        script = f"scif/apps/{app}/scif/runscript"
        if not (root / script).exists():
            refuse(f"no such app in the image: {app}")
        command = ["bwrap", *view(root, binds), "--", "/bin/sh", f"/{script}", *args]
        return run(command)


def run(command: list[str]) -> int:
    """Stay until the container has ended, whatever this is sent, as the real one does."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, lambda *_: None)
    # A signal ends bubblewrap itself; what it has started then comes here.
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    outer = os.posix_spawnp(command[0], command, os.environ)
    signalled = False
    while True:
        pid, status = os.wait()
        code = os.waitstatus_to_exitcode(status)
        if signalled or (pid == outer and code >= 0):
            return code if code >= 0 else 128 - code
        signalled = pid == outer


def make_image(place: Path, script: str, programs: Sequence[str] = ("sh", "cat", "sleep")) -> Path:
    """An image with this script as its app `distribute` and with these programs of the system."""
    import shutil

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("bin", "tmp", "scif/apps/distribute/scif"):
            (root / name).mkdir(parents=True)
        (root / "scif/apps/distribute/scif/runscript").write_text(script)
        (root / "made-of").write_text("a test")
        for name in programs:
            program = shutil.which(name)
            assert program is not None
            shutil.copy(os.path.realpath(program), root / "bin" / name)
            listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True)
            for word in listed.stdout.split():
                if word.startswith("/"):
                    (root / word.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(os.path.realpath(word), root / word.lstrip("/"))
        with tarfile.open(place, "w") as packed:
            packed.add(root, arcname=".")
    return place


def install(folder: Path, name: str = "apptainer") -> Path:
    """A folder for PATH in which the stand-in is called so."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    program.write_text(f"#!{sys.executable}\n{Path(__file__).read_text()}")
    program.chmod(0o755)
    return folder


if __name__ == "__main__":
    sys.exit(main())
