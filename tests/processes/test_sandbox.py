"""What a job can see and do: its own work folder, the system to read, the network; nothing else."""

import ctypes
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from fallow.shared.errors import FallowError
from fallow.shared.work import keyring, landlock, procfs
from fallow.shared.work.cgroup import end, name_in
from fallow.shared.work.ground import Ground
from fallow.shared.work.processes import ExitStatus, Spawn, spawn
from fallow.shared.work.sandbox import (
    HOME,
    WORK,
    SandboxAbility,
    SandboxPlan,
    Wish,
    plan_for,
    probe,
)
from fallow.shared.work.trees import copy_tree
from processes.started import Start
from waiting import wait_until

hidden = pytest.mark.parametrize("layout", ["hidden"], indirect=True)
contained = pytest.mark.parametrize("layout", ["hidden", "bare"], indirect=True)
PYTHON = "/usr/bin/python3"
WISHES: tuple[Wish, ...] = ("auto", "bubblewrap")


def run_in(plan: SandboxPlan, folder: Path, *argv: str, **env: str) -> tuple[int, str, str]:
    """Exit code and what it said on both streams."""
    name = secrets.token_hex(4)
    words = folder / f"{name}.out", folder / f"{name}.err"
    handle = spawn(Spawn(argv, plan, *words, folder / f"{name}.status", env, nice=0))
    found = wait_until(handle.poll, 30, "the end of the run")
    handle.close()
    assert isinstance(found, ExitStatus), words[1].read_text()
    return found.code, words[0].read_text(), words[1].read_text()


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder with a secret in it that is in no part of the run."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        (Path(folder) / "secret.key").write_text("the secret")
        yield Path(folder)


def test_bubblewrap_works_here() -> None:
    # In CI this is no skip: the default sandbox must be there to be tested.
    assert probe().kind == "bubblewrap"


def test_the_layout_follows_ability_and_wish(tmp_path: Path, ability: SandboxAbility) -> None:
    without = SandboxAbility("none", "bubblewrap is not installed")
    work, scratch = tmp_path / "work", tmp_path / "scratch"
    assert plan_for(ability, "auto", work, scratch).layout == "hidden"
    assert plan_for(ability, "bubblewrap", work, scratch).layout == "hidden"
    assert plan_for(ability, "none", work, scratch).layout == "bare"
    assert plan_for(ability, "none", work, scratch, grouped=True).layout == "plain"
    assert plan_for(ability, "auto", work, scratch, grouped=True).layout == "hidden"
    assert plan_for(without, "none", work, scratch).layout == "plain"
    for wish in WISHES:
        with pytest.raises(FallowError, match="cannot hide its files") as caught:
            plan_for(without, wish, work, scratch)
        assert "bubblewrap is not installed" in caught.value.detail
        assert "sandbox" in caught.value.hint


def test_paths_as_the_job_sees_them(tmp_path: Path) -> None:
    assert SandboxPlan("hidden", str(tmp_path)).path_inside("input") == "/fallow/work/input"
    assert SandboxPlan("bare", str(tmp_path)).path_inside() == "/fallow/work"
    assert SandboxPlan("plain", str(tmp_path)).path_inside("a/b") == f"{tmp_path}/a/b"


@hidden
def test_folders_of_people_are_not_there(
    plan: SandboxPlan, tmp_path: Path, elsewhere: Path
) -> None:
    line = f"cat {elsewhere}/secret.key; ls /root /home {Path.home()} {tmp_path}; ls /var/tmp /tmp"
    code, out, err = run_in(plan, tmp_path, "/bin/sh", "-c", line)
    assert code == 0
    assert "secret" not in out
    assert out.split() == ["/tmp:", "/var/tmp:"]
    assert err.count("No such file or directory") >= 4


@hidden
def test_the_home_is_private_and_writable(plan: SandboxPlan, tmp_path: Path) -> None:
    line = "cd && pwd && echo x >~/file && echo x >/tmp/file && echo x >/var/tmp/other && ls /tmp"
    code, out, err = run_in(plan, tmp_path, "/bin/sh", "-c", line)
    assert (code, err) == (0, "")
    assert out.split() == [HOME, "file", "other"]
    # On disk, so that it costs no memory.
    assert (Path(plan.scratch) / "tmp/file").exists()


@hidden
def test_nothing_outside_can_be_written(plan: SandboxPlan, tmp_path: Path) -> None:
    places = [
        "/x",
        "/usr/x",
        "/etc/x",
        "/bin/x",
        "/run/x",
        "/var/x",
        "/fallow/x",
        "/sys/x",
        "/opt/x",
    ]
    line = "".join(f"touch {place} && echo {place}; " for place in places) + "touch own && ls"
    code, out, _ = run_in(plan, tmp_path, "/bin/sh", "-c", line)
    assert (code, out) == (0, "own\n")
    assert (Path(plan.work) / "own").exists()


@hidden
def test_the_sockets_of_this_computers_agent_are_not_there(
    plan: SandboxPlan, tmp_path: Path
) -> None:
    """A job has the account of the agent, whose word the agent takes."""
    line = "ls -d /run/lock /run/fallow /run/user /run/dbus /var/run/lock; ls /run"
    _, out, _ = run_in(plan, tmp_path, "/bin/sh", "-c", line)
    assert not set(out.split()) & {"lock", "fallow", "user", "dbus", "/run/lock", "/run/fallow"}


@hidden
def test_kernel_switches_are_read_only(plan: SandboxPlan, tmp_path: Path) -> None:
    # Opened, never written to: were it possible, it would be this computer's own setting.
    line = (
        "for file in /proc/sys/kernel/core_pattern /proc/sys/vm/swappiness /proc/sysrq-trigger"
        " /sys/kernel/mm/transparent_hugepage/enabled; do"
        "   [ ! -e $file ] || ( : >>$file ) 2>/dev/null && [ -e $file ] && echo opened $file;"
        " done;"
        " mkdir /sys/fs/cgroup/fallow-test /sys/fs/cgroup/unified/fallow-test && echo made;"
        " mount -t tmpfs x /tmp && echo mounted; cat /etc/shadow; true"
    )
    code, out, _ = run_in(plan, tmp_path, "/bin/sh", "-c", line)
    assert (code, out) == (0, "")


@contained
def test_other_processes_are_not_there(plan: SandboxPlan, tmp_path: Path) -> None:
    line = f"ls -d /proc/[0-9]* | wc -l; kill -0 {os.getpid()} && echo reached; true"
    code, out, _ = run_in(plan, tmp_path, "/bin/sh", "-c", line)
    assert code == 0
    assert int(out.split()[0]) <= 5
    assert "reached" not in out


@contained
def test_a_job_cannot_stop_its_own_first_process(plan: SandboxPlan, tmp_path: Path) -> None:
    line = "kill -9 1; kill -STOP 1; kill -TERM 1; echo still; exit 6"
    assert run_in(plan, tmp_path, "/bin/sh", "-c", line)[:2] == (6, "still\n")


@contained
def test_a_job_cannot_forge_its_exit_status(start: Start) -> None:
    run = start("/bin/sh", "-c", "echo started; ls /proc/self/fd /proc/1/fd; sleep 0.1; exit 5")
    run.said("started")
    assert run.ending() == ExitStatus(5)
    # Neither the status nor bubblewrap's report of it is open in there.
    assert set(run.stdout.read_text().split()) - {"started"} <= {
        "/proc/self/fd:", "/proc/1/fd:", "0", "1", "2", "3"
    }  # fmt: skip
    readable = run_in(run.plan, run.status.parent, "/bin/cat", str(run.status))
    assert (readable[0] == 0) == (run.plan.layout == "bare")


@hidden
def test_the_environment_is_a_short_list(
    plan: SandboxPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTS_SECRET", "x")
    monkeypatch.setenv("PATH", f"{Path.home()}/bin:/usr/bin")
    monkeypatch.setenv("LC_NUMERIC", "C")
    code, out, _ = run_in(plan, tmp_path, "/usr/bin/env", OMP_NUM_THREADS="4", PATH="/own")
    found = dict(line.split("=", 1) for line in out.splitlines())
    assert code == 0
    assert found.pop("OMP_NUM_THREADS") == "4"
    assert found.pop("PATH") == "/own"
    assert found.pop("HOME") == HOME
    assert found.pop("LC_NUMERIC") == "C"
    assert set(found) <= {"USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "PWD"} | {
        name for name in found if name.startswith("LC_")
    }


@contained
def test_a_jobs_variables_stay_in_the_sandbox(start: Start) -> None:
    run = start("/bin/sleep", "60", LD_PRELOAD="/fallow/work/evil.so", TOKEN="very secret")
    first = wait_until(lambda: run.tree.members(), 20, "the job")[0]
    assert b"TOKEN=very secret" in Path(f"/proc/{first}/environ").read_bytes()
    seen = [run.handle.identity.pid]
    table = procfs.table()
    seen += [pid for pid, stat in table.items() if stat.parent == seen[0]]
    assert len(seen) == 2
    for pid in seen:
        assert b"evil" not in Path(f"/proc/{pid}/environ").read_bytes()
    for pid in (*seen, first):
        assert b"secret" not in Path(f"/proc/{pid}/cmdline").read_bytes()


@hidden
def test_the_network_is_there(plan: SandboxPlan, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        connect = (
            f"import socket; socket.create_connection(('127.0.0.1', {port})); print('reached')"
        )
        assert run_in(plan, tmp_path, PYTHON, "-c", connect)[:2] == (0, "reached\n")


@hidden
def test_without_the_network_there_is_only_its_own_loopback(
    plan: SandboxPlan, tmp_path: Path
) -> None:
    program = (
        "import socket\n"
        "own = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(own.getsockname()); print('own reached')\n"
        "print([name for _, name in socket.if_nameindex()])\n"
        "for address in (('127.0.0.1', {port}), ('192.0.2.1', 80)):\n"
        "    try: socket.create_connection(address, 5); print('reached')\n"
        "    except OSError as error: print('not', error.errno)\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        line = program.format(port=server.getsockname()[1])
        off = replace(plan, network=False)
        code, out, err = run_in(off, tmp_path, PYTHON, "-c", line)
    assert code == 0, err
    assert out.splitlines() == ["own reached", "['lo']", "not 111", "not 101"]


def test_a_job_that_must_not_have_the_network_is_refused_where_it_would(
    ability: SandboxAbility, tmp_path: Path
) -> None:
    work, scratch = tmp_path / "work", tmp_path / "scratch"
    assert not plan_for(ability, "auto", work, scratch, network=False).network
    without = SandboxAbility("none", "bubblewrap is not installed")
    for able in (ability, without):
        with pytest.raises(FallowError, match="away from the network"):
            plan_for(able, "none", work, scratch, network=False)


@hidden
def test_the_screen_and_the_session_cannot_be_reached(plan: SandboxPlan, tmp_path: Path) -> None:
    number = secrets.randbelow(10_000) + 20_000
    place = f"/tmp/.X11-unix/X{number}"
    Path("/tmp/.X11-unix").mkdir(exist_ok=True)
    connect = (
        "import socket, sys\n"
        f"for name in ({place!r}, '\\0' + {place!r}):\n"
        "    with socket.socket(socket.AF_UNIX) as s:\n"
        "        try: s.connect(name); print('reached')\n"
        "        except OSError as error: print('not', error.errno)\n"
        "with socket.socket(socket.AF_UNIX) as own, socket.socket(socket.AF_UNIX) as s:\n"
        "    own.bind('\\0own'); own.listen(); s.connect('\\0own'); print('own reached')\n"
    )
    with socket.socket(socket.AF_UNIX) as named, socket.socket(socket.AF_UNIX) as unnamed:
        named.bind(place)
        unnamed.bind("\0" + place)
        try:
            named.listen()
            unnamed.listen()
            code, out, _ = run_in(plan, tmp_path, PYTHON, "-c", connect)
        finally:
            os.unlink(place)
    assert code == 0
    assert out.splitlines()[0] == "not 2"
    assert out.splitlines()[2] == "own reached"
    assert out.splitlines()[1] == ("not 1" if landlock.available() else "reached")
    assert plan.scoped == landlock.available()


@pytest.mark.may_skip("kernels before 6.12 cannot do it; the layouts are tested without it there")
def test_this_kernel_can_hide_abstract_sockets() -> None:
    if not landlock.available():
        pytest.skip("Linux before 6.12")
    with socket.socket(socket.AF_UNIX) as free:
        # Confining a job's thread must have left this process as it was.
        free.bind("\0" + secrets.token_hex(8))
        free.listen()
        with socket.socket(socket.AF_UNIX) as other:
            other.connect(free.getsockname())


@pytest.mark.may_skip("a kernel or a container without keys has none to hide")
@hidden
def test_the_keys_of_a_login_are_out_of_reach(plan: SandboxPlan, tmp_path: Path) -> None:
    """Such as a Kerberos ticket: the kernel keeps it for a login, and a child inherits it."""
    number = keyring.KEYCTL.get(os.uname().machine, -1)
    libc = ctypes.CDLL(None, use_errno=True)
    read = (
        "import ctypes\n"
        f"keyctl = lambda *words: ctypes.CDLL(None).syscall({number}, *words)\n"
        "text = ctypes.create_string_buffer(20)\n"
        "keyctl(11, keyctl(10, -3, b'user', b'fallow-test', 0), text, 20)\n"
        "print(text.value.decode() or 'nothing')\n"
    )
    joined: list[int] = []
    said: dict[bool, str] = {}

    def of_a_login() -> None:
        # For this thread alone, and whatever it starts.
        joined.append(libc.syscall(number, 1, None))
        libc.syscall(number - 2, b"user", b"fallow-test", b"the secret", 10, -3)
        for own_keys in (False, True):
            out = tmp_path / f"{own_keys}.out"
            words = Spawn(
                *((PYTHON, "-c", read), plan, out, out, tmp_path / f"{own_keys}.status"),
                own_keys=own_keys,
            )
            handle = spawn(words)
            wait_until(handle.poll, 30, "the end of the run")
            handle.close()
            said[own_keys] = out.read_text()

    thread = threading.Thread(target=of_a_login)
    thread.start()
    thread.join()
    if joined[0] < 0:
        pytest.skip("there are no keys here")
    assert said == {False: "the secret\n", True: "nothing\n"}


@hidden
def test_more_folders_to_read(
    plan: SandboxPlan, ability: SandboxAbility, tmp_path: Path, elsewhere: Path
) -> None:
    (elsewhere / "agent").mkdir()
    (elsewhere / "agent/key").write_text("of the agent")
    own = plan_for(
        ability,
        "auto",
        Path(plan.work),
        Path(plan.scratch),
        read_only=(str(elsewhere), "/not/there"),
        covered=(str(elsewhere / "agent"), str(tmp_path), "/also/not/there"),
    )
    line = f"cat {elsewhere}/secret.key; touch {elsewhere}/x; ls {elsewhere} {elsewhere}/agent"
    code, out, err = run_in(own, tmp_path, "/bin/sh", "-c", line)
    assert code == 0
    assert out.startswith(f"the secret{elsewhere}:\nagent\nsecret.key\n")
    assert out.endswith(f"{elsewhere}/agent:\n")
    assert "Read-only" in err
    assert (Path(plan.work)).exists()


@hidden
def test_folders_to_read_that_are_named_by_a_link(
    plan: SandboxPlan, ability: SandboxAbility, tmp_path: Path, elsewhere: Path
) -> None:
    """As /opt/conda often is: a link in a folder that jobs see, to a larger disk."""
    for name in ("opt", "disk/conda/agent", "links"):
        (elsewhere / name).mkdir(parents=True)
    (elsewhere / "disk/conda/tool").write_text("the tool")
    (elsewhere / "disk/conda/agent/key").write_text("of the agent")
    (elsewhere / "opt/conda").symlink_to(elsewhere / "disk/conda")
    (elsewhere / "links/disk").symlink_to(elsewhere / "disk")
    names = [f"{elsewhere}/{name}" for name in ("opt/conda", "links/disk/conda", "disk/conda")]
    for read_only in (
        (str(elsewhere / "opt"), *names[:1], names[0] + "/"),
        (str(elsewhere / "opt"), *names, *(f"{each}/agent" for each in names)),
    ):
        own = plan_for(
            *(ability, "auto", Path(plan.work), tmp_path / secrets.token_hex(4)),
            read_only,
            (str(elsewhere / "disk/conda/agent"),),
        )
        line = f"for name in {' '.join(names)}; do cat $name/tool $name/agent/key && echo; done"
        _, out, err = run_in(own, tmp_path, "/bin/sh", "-c", line)
        assert "the tool" in out, err
        assert out.count("the tool") == (3 if len(read_only) > 3 else 2)
        assert "of the agent" not in out


def test_without_hiding_the_account_is_as_it_is(
    plan: SandboxPlan, tmp_path: Path, elsewhere: Path
) -> None:
    if plan.layout == "hidden":
        return
    line = f"cat {elsewhere}/secret.key; echo; echo $HOME; pwd; echo x >distribute_save.txt"
    code, out, _ = run_in(plan, tmp_path, "/bin/sh", "-c", line)
    assert code == 0
    assert out.split("\n")[:2] == ["the secret", os.environ["HOME"]]
    assert out.split("\n")[2] == (WORK if plan.contained else plan.work)
    assert (Path(plan.work) / "distribute_save.txt").read_text() == "x\n"


@contained
def test_a_virtual_environment_works_in_every_copy(
    plan: SandboxPlan, ability: SandboxAbility, tmp_path: Path
) -> None:
    build = f"{PYTHON} -m venv --without-pip env && printf '#!{WORK}/env/bin/python\\n' >tool"
    more = "echo 'import sys; print(sys.prefix)' >>tool && chmod +x tool && ./tool"
    code, out, err = run_in(plan, tmp_path, "/bin/sh", "-c", f"{build} && {more}")
    assert (code, out) == (0, f"{WORK}/env\n"), err
    for name in ("one", "two"):
        copy_tree(Path(plan.work), tmp_path / name)
        wish: Wish = "auto" if plan.layout == "hidden" else "none"
        copy = plan_for(ability, wish, tmp_path / name, tmp_path / "scratch")
        assert run_in(copy, tmp_path, "./tool")[:2] == (0, f"{WORK}/env\n")


def test_a_bubblewrap_that_fails_or_hangs_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bwrap"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("fallow.shared.work.sandbox.PATH", str(tmp_path))
    assert probe() == SandboxAbility("none", "bubblewrap is not installed")
    program.write_text("#!/bin/sh\necho 'setting up uid map: Permission denied' >&2; exit 1\n")
    program.chmod(0o755)
    assert "Permission denied" in probe().why
    program.write_text("#!/bin/sh\n! /bin/grep -q '^NoNewPrivs:.*1' /proc/self/status\n")
    assert probe() == SandboxAbility("bubblewrap", program=str(program), scoped=False)
    program.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    monkeypatch.setattr("fallow.shared.work.sandbox.PROBE_SECONDS", 0.2)
    assert "did not answer" in probe().why


@contextmanager
def handed_over(group: Path) -> Iterator[None]:
    group.mkdir()
    try:
        for place in (group, group / "cgroup.procs", group / "cgroup.subtree_control"):
            shutil.chown(place, "nobody")
        yield
    finally:
        assert end(group)


@pytest.mark.timeout(300)
def test_all_of_this_as_an_ordinary_user(ground_here: Ground) -> None:
    """Runs the tests of this folder as `nobody`, unless they are an ordinary user's already.

    In a control group that was handed over to it, as systemd does with Delegate=yes.
    """
    if os.geteuid() != 0:
        return
    here = Path(__file__).parent
    top = here.parents[1]
    group = name_in(ground_here)
    with tempfile.TemporaryDirectory(prefix="fallow-nobody-") as folder, handed_over(group):
        os.chmod(folder, 0o777)
        user = ["/bin/sh", "-c", 'echo 0 >"$0/cgroup.procs" && exec "$@"', str(group)]
        user += ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
        # The checkout's own Python may lie in a home folder that `nobody` may not enter.
        packages = [path for path in sys.path if path.endswith("site-packages")]
        packages.append(f"{top}/shared")
        python = [PYTHON, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
        python += ["-k", "not plain and not bare-cgroup and not ordinary"]
        done = subprocess.run(
            [*user, *python, f"--basetemp={folder}/base", str(here / "test_freeze.py"),
             str(here / "test_runs.py"), str(here / "test_sandbox.py")],
            cwd=top,
            # Nothing may be skipped in there.
            env={"PATH": "/usr/bin:/bin", "HOME": folder, "PYTHONPATH": ":".join(packages),
                 "CI": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=280,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
