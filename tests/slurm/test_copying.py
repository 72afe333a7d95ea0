"""upload.sh and download.sh, over a real ssh where there is one; what was damaged is not taken.

Not how a half-copied folder is refused on the cluster: that is test_submitting.py.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from slurm.cluster import Cluster
from slurm.exported import ExportedFolder
from waiting import wait_until

pytestmark = pytest.mark.xdist_group("slurm")
Export = Callable[..., ExportedFolder]

BATCH = """\
meta: {namespace: n, batch_name: b}
resources: {cpus: 1, memory: 64MiB}
command:
  initialize: {run: "cp input/tool built", required_files: [tool]}
  run: "./built {i} > distribute_save/out; echo done {i}"
  sweep: {i: [1, 2, 3]}
  name: "j{i}"
"""


# What ssh does with its words, without a network: the last of them are run by a shell over there.
STAND_IN = """\
#!/bin/sh
[ "$1" = 127.0.0.1 ] || exit 255
shift
SLURM_CONF={configuration}
export SLURM_CONF
cd / && exec sh -c "$*"
"""
NO_SERVER = "an SSH server is nothing to install on a developer's computer; a stand-in is met too"


@pytest.fixture(params=["stand-in", pytest.param("sshd", marks=pytest.mark.may_skip(NO_SERVER))])
def ssh(
    request: pytest.FixtureRequest, tmp_path: Path, cluster: Cluster
) -> Generator[str, None, None]:
    """The command of an ssh that reaches the cluster: a stand-in, or to a server of our own."""
    if request.param == "stand-in":
        program = tmp_path / "ssh-stand-in"
        configuration = cluster.environment["SLURM_CONF"]
        program.write_text(STAND_IN.format(configuration=configuration))
        program.chmod(0o755)
        yield str(program)
    else:
        yield from _to_a_server(tmp_path, cluster)


def _to_a_server(tmp_path: Path, cluster: Cluster) -> Generator[str, None, None]:
    server = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ["PATH"])
    if server is None or shutil.which("ssh") is None:
        pytest.skip("no sshd here")
    folder = tmp_path / "ssh"
    folder.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True
        )
    shutil.copy(folder / "user.pub", folder / "authorized")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    options = {
        "ListenAddress": "127.0.0.1",
        "Port": str(port),
        "HostKey": str(folder / "host"),
        "PidFile": str(folder / "pid"),
        "AuthorizedKeysFile": str(folder / "authorized"),
        "StrictModes": "no",
        "UsePAM": "no",
        "PermitRootLogin": "yes",
        "PasswordAuthentication": "no",
        "SetEnv": f"SLURM_CONF={cluster.environment['SLURM_CONF']}",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    log = folder / "log"
    process = subprocess.Popen([server, "-f", "/dev/null", "-D", "-E", str(log), *words])
    try:
        wait_until((folder / "pid").is_file, 30, f"sshd to listen; see {log}")
        yield (
            f"ssh -F none -p {port} -i {folder / 'user'} -o StrictHostKeyChecking=no"
            f" -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o IdentitiesOnly=yes"
        )
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def test_to_the_cluster_and_back(
    exported: Export, cluster: Cluster, ssh: str, tmp_path: Path
) -> None:
    (tmp_path / "tool").write_text('#!/bin/sh\necho "tool $1"\n')
    (tmp_path / "tool").chmod(0o755)
    folder = exported(BATCH, name="at home")
    remote = tmp_path / "remote" / "sweep 1"
    remote.parent.mkdir()
    environment = {"RSYNC_RSH": ssh}
    where = f"127.0.0.1:{remote}"
    done = folder.call("upload.sh", where, env=environment)
    assert done.returncode == 0, done.stderr
    assert "./submit.sh" in done.stdout

    # There it is submitted, and here nothing is known but what is fetched.
    there = ExportedFolder(remote, cluster, lambda *_: None, {})
    there.submit()
    there.wait()
    fetched = folder.call("download.sh", env=environment)
    assert fetched.returncode == 0, fetched.stderr
    assert not (folder.path / "build" / "tree").exists()
    first = folder.collect()
    assert first["counts"]["succeeded"] == 3, first
    assert folder.output("j2", "out") == "tool 2\n"
    assert oct((folder.results() / "j2" / "out").stat().st_mode)[-3:] == "444"

    # Again, with more of it: nothing changes, neither there nor here.
    assert folder.call("upload.sh", env=environment).returncode == 0
    assert "0 arrays submitted now" in there.submit()
    assert folder.call("download.sh", env=environment).returncode == 0
    assert folder.collect()["unchanged"] == 3


def test_the_five_commands_of_the_page(
    cluster: Cluster, ssh: str, tmp_path: Path, verb: Callable[..., Any]
) -> None:
    """As a new user would, from top to bottom; only the cluster has another name."""
    page = (Path(__file__).parents[2] / "docs" / "slurm.md").read_text()
    detect = next(block for block in page.split("```sh\n") if "--detect" in block)
    block = page.partition("```sh\n")[2].partition("```")[0]
    assert len(block.splitlines()) == 5
    remote = tmp_path / "remote"
    remote.mkdir()
    block = block.replace("ssh ana@login.example.org ", f"{ssh} 127.0.0.1 {remote}/")
    block = block.replace("ana@login.example.org:", f"127.0.0.1:{remote}/")
    assert "example.org" not in block
    here = tmp_path / "here"
    here.mkdir()
    (here / "tool").write_text("#!/bin/sh\necho $1\n")
    (here / "tool").chmod(0o755)
    (here / "sweep.yaml").write_text(BATCH)
    path = f"{Path(sys.executable).parent}:{cluster.environment['PATH']}"
    environment = {"PATH": path, "RSYNC_RSH": ssh}
    for line in (*detect.partition("```")[0].splitlines(), *block.splitlines()):
        done = cluster.call("bash", "-c", line, cwd=here, env=environment)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        if "submit.sh" in line:
            told = {"RSYNC_RSH": ssh}
            folder = ExportedFolder(here / "sweep_on_cluster", cluster, verb, told)
            folder.wait()
    assert "3 succeeded" in done.stdout
    assert folder.output("j3", "out") == "3\n"


def test_where_to_is_asked_for(exported: Export) -> None:
    folder = exported(BATCH.replace('initialize: {run: "cp input/tool built", ', "#"))
    for program in ("upload.sh", "download.sh"):
        done = folder.call(program)
        assert done.returncode == 1
        assert "USER@HOST:FOLDER" in done.stderr


@pytest.mark.parametrize("damage", ["changed", "missing", "sums", "half"])
def test_what_was_damaged_on_the_way_is_named_and_taken_once_it_is_whole(
    exported: Export, tmp_path: Path, damage: str
) -> None:
    (tmp_path / "tool").write_text('#!/bin/sh\necho "tool $1"\n')
    (tmp_path / "tool").chmod(0o755)
    folder = exported(BATCH)
    folder.submit()
    folder.wait()
    attempt = folder.path / "runs" / "000001" / "1"
    shutil.copytree(attempt, tmp_path / "whole")
    match damage:
        case "changed":
            (attempt / "distribute_save" / "out").write_text("tool 3\n")
        case "missing":
            (attempt / "stdout.txt").unlink()
        case "sums":
            (attempt / "sums").write_text("")
        case "half":
            status = (attempt / "status").read_text()
            (attempt / "status").write_text(status[:-5])
    done = folder.collect()
    assert done["taken"] == 3 if damage == "half" else 2, done
    if damage == "half":
        # Cut off, it is none: then SLURM's word counts.
        assert done["counts"]["failed"] == 1
    else:
        (problem,) = done["damaged"]
        assert problem["job"] == "j2"
        assert "runs/000001/1" in problem["reason"]
        assert not (folder.results() / "j2").exists()
    shutil.rmtree(attempt)
    shutil.copytree(tmp_path / "whole", attempt)
    again = folder.collect()
    assert again["counts"]["succeeded"] == 3
    assert again["damaged"] == []
    assert json.loads(folder.output("j2", "attempt.json"))["succeeded"]
    assert folder.output("j2", "out") == "tool 2\n"
