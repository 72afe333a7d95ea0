"""A real SLURM of one node on loopback: munged, slurmctld and slurmd, from a folder of its own.

Not a stand-in: Debian's own programs, with neither systemd nor anything below /etc. What the node
has is made up, so that there are slots, GPUs and chunks enough to meet; it runs real processes.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from waiting import wait_until

NODE = "desk"
CPUS = 64  # the scheduler starts one job per slot and second
MEMORY = 32_000  # MiB
GPUS = 2
MAX_ARRAY_SIZE = 101
PROGRAMS = ("munged", "slurmctld", "slurmd")
_SBIN = ("/usr/sbin", "/usr/local/sbin")

_CONFIGURATION = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={controller_port}
SlurmdPort={node_port}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket={root}/munge/socket
CredType=cred/munge
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldPidFile={root}/run/slurmctld.pid
SlurmdPidFile={root}/run/slurmd.pid
SlurmctldLogFile={root}/log/slurmctld.log
SlurmdLogFile={root}/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=1,requeue_delay=0
DefMemPerCPU=64
MaxJobCount=60000
MaxArraySize={max_array_size}
MinJobAge=300
KillWait=3
ReturnToService=2
SlurmctldTimeout=300
SlurmdTimeout=300
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={node} NodeAddr=127.0.0.1 NodeHostname={host} CPUs={cpus} RealMemory={memory} \
Gres=gpu:fake:{gpus} Feature=avx2,big State=UNKNOWN
PartitionName=main Nodes={node} Default=YES MaxTime=2-00:00:00 State=UP OverSubscribe=NO
PartitionName=short Nodes={node} MaxTime=00:10:00 State=UP OverSubscribe=NO
"""


class Cluster:
    """Everything below `root`; `start` may be called again after `stop`, jobs are remembered."""

    def __init__(self, root: Path, max_array_size: int = MAX_ARRAY_SIZE) -> None:
        self.root = root
        self._max_array_size = max_array_size
        self._host = socket.gethostname().partition(".")[0]
        self._ports = _free_ports(2)

    @property
    def environment(self) -> dict[str, str]:
        """What a user's shell has on this cluster."""
        kept = {name: value for name, value in os.environ.items() if not _foreign(name)}
        path = ":".join((kept.get("PATH", ""), *_SBIN))
        return {**kept, "PATH": path, "SLURM_CONF": str(self.root / "slurm.conf")}

    def start(self) -> None:
        """Bring up what is not up, and wait until the node takes jobs."""
        for name in ("munge", "run", "log", "state", "spool"):
            (self.root / name).mkdir(mode=0o755, parents=True, exist_ok=True)
        key = self.root / "munge" / "key"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_bytes(os.urandom(1024))
            self._configure()
        self._start_munge()
        for program in ("slurmctld", "slurmd"):
            self.start_daemon(program)
        wait_until(self._usable, 60, f"a usable node; see {self.root / 'log'}")

    def _configure(self) -> None:
        # Devices that are always there play the GPUs.
        (self.root / "gres.conf").write_text(
            f"NodeName={NODE} Name=gpu Type=fake File=/dev/null Flags=nvidia_gpu_env\n"
            f"NodeName={NODE} Name=gpu Type=fake File=/dev/zero Flags=nvidia_gpu_env\n"
        )
        text = _CONFIGURATION.format(
            root=self.root,
            host=self._host,
            user=_user(),
            controller_port=self._ports[0],
            node_port=self._ports[1],
            node=NODE,
            cpus=CPUS,
            memory=MEMORY,
            gpus=GPUS,
            max_array_size=self._max_array_size,
        )
        (self.root / "slurm.conf").write_text(text)

    def _start_munge(self) -> None:
        if self._pid("munged") is not None:
            return
        munge = self.root / "munge"
        (munge / "socket").unlink(missing_ok=True)
        self._check(
            "munged",
            "--force",
            f"--key-file={munge / 'key'}",
            f"--socket={munge / 'socket'}",
            f"--pid-file={self.root / 'run' / 'munged.pid'}",
            f"--log-file={self.root / 'log' / 'munged.log'}",
            f"--seed-file={munge / 'seed'}",
            "--num-threads=2",
        )
        wait_until((munge / "socket").is_socket, 20, "the socket of munged")

    def start_daemon(self, program: str) -> None:
        """Start slurmctld or slurmd unless it runs."""
        if self._pid(program) is not None:
            return
        (self.root / "run" / f"{program}.pid").unlink(missing_ok=True)
        words = ("-N", NODE) if program == "slurmd" else ()
        self._check(program, *words, "-f", str(self.root / "slurm.conf"))
        if program == "slurmctld":
            wait_until(lambda: "is UP" in self.run("scontrol", "ping"), 40, "slurmctld to answer")

    def _usable(self) -> bool:
        state = self.run("sinfo", "-h", "-o", "%T").split()
        if state and state[0].startswith(("down", "drain", "unknown")):
            self.run("scontrol", "update", f"NodeName={NODE}", "State=RESUME")
        return bool(state) and state[0] in {"idle", "mixed", "allocated"}

    def stop_daemon(self, program: str, number: signal.Signals = signal.SIGTERM) -> None:
        """End one program that `start` began, by its pid."""
        pid = self._pid(program)
        if pid is None:
            return
        os.kill(pid, number)
        try:
            wait_until(lambda: not _alive(pid), 15, f"{program} to end")
        except AssertionError:
            os.kill(pid, signal.SIGKILL)

    def end_step(self, began: str) -> None:
        """Kill all of one job at once, as when its node loses power; `began` is its file."""
        job = re.search(r"^slurm=(\d+)$", began, re.MULTILINE)
        assert job is not None, began
        mark = f"SLURM_JOB_ID={job[1]}\0".encode()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                title = (entry / "cmdline").read_bytes()
                theirs = (
                    mark in (entry / "environ").read_bytes()
                    and str(self.root).encode() in (entry / "environ").read_bytes()
                )
            except OSError:
                continue
            if theirs or f"slurmstepd: [{job[1]}.".encode() in title:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(entry.name), signal.SIGKILL)

    def stop(self) -> None:
        """Cancel every job and end the three programs."""
        if self._pid("slurmctld") is not None and self._pid("slurmd") is not None:
            self.run("scancel", "--signal=KILL", "--full", "--state=RUNNING")
            self.run("scancel", "--state=PENDING")
            self.run("scancel", "--state=RUNNING")
            deadline = time.monotonic() + 20
            while (
                self.run("squeue", "-h", "-t", "R,CG", "-o", "%A") and time.monotonic() < deadline
            ):
                time.sleep(0.1)
        for program in reversed(PROGRAMS):
            self.stop_daemon(program)

    def run(self, *words: str) -> str:
        """What one of SLURM's commands prints; empty when it fails."""
        return self.call(*words).stdout.strip()

    def call(
        self, *words: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run any program as a user of this cluster does."""
        return subprocess.run(
            words,
            cwd=cwd if cwd is not None else self.root,
            env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def _check(self, program: str, *words: str) -> None:
        log = self.root / "log" / f"{program}.start"
        with log.open("ab") as out:  # a file: the daemon keeps what it is given
            done = subprocess.run(
                [program, *words],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                timeout=60,
                check=False,
            )
        assert done.returncode == 0, f"{program} did not start:\n{log.read_text()}"

    def _pid(self, program: str) -> int | None:
        try:
            pid = int((self.root / "run" / f"{program}.pid").read_text())
            name = Path(f"/proc/{pid}/comm").read_text().strip()
        except (OSError, ValueError):
            return None
        return pid if name == program and _alive(pid) else None


def missing_programs() -> list[str]:
    """Which of SLURM's programs this computer lacks."""
    folders = [*os.environ.get("PATH", "").split(":"), *_SBIN]
    return [
        name
        for name in (*PROGRAMS, "sbatch", "sinfo", "squeue", "scontrol", "scancel")
        if not any(os.access(os.path.join(folder, name), os.X_OK) for folder in folders)
    ]


def _alive(pid: int) -> bool:
    try:
        # A zombie has ended; whoever is its parent here may never look.
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def _foreign(name: str) -> bool:
    return bool(re.match(r"(SLURM|SBATCH|SQUEUE|SINFO|SCANCEL)_", name))


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports
