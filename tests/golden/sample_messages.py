"""One of every message on the wire, with every field set to something that is not its default."""

from fallow.shared import messages as m
from fallow.shared.batch import (
    Apptainer,
    ApptainerInitialize,
    ApptainerJob,
    Batch,
    Checkpoint,
    Command,
    CommandInitialize,
    CommandJob,
    File,
    Limits,
    Meta,
    OnFailure,
    OnLost,
    OnOwnerReturn,
    Python,
    PythonInitialize,
    PythonJob,
    Range,
    Resources,
    Sweep,
)
from fallow.shared.ids import AttemptId
from fallow.shared.runs import (
    Building,
    Crashed,
    Declined,
    Ending,
    Exited,
    Finished,
    Manifest,
    OutputFile,
    Progress,
    Reason,
    Running,
    RunState,
    Signalled,
    Staging,
    Stopped,
    Verdict,
)

A, B, C = "a" * 64, "b" * 64, "c" * 64
KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
ATTEMPT = AttemptId("k3f9a2c1", 17, 2)
VERDICT = Verdict("present", (Reason("input", "you are here", 1_800_000_600.5),))
INPUT = m.Input("data/mesh.h5", A, 1024, True)
SPEC = m.JobSpec(
    namespace="ana_cfd",
    batch="channel",
    job="re100",
    owner="ana",
    action=m.Shell("./solver --re 100"),
    cpus=4,
    memory=2**32,
    build=m.BuildSpec(B, m.Script("build.py", A, 120, ("x",)), {"CC": "gcc"}),
    env={"OMP_NUM_THREADS": "4"},
    shared=(INPUT,),
    inputs=(m.Input("case.json", C, 7),),
    grace=20.0,
    network=False,
)
STATES: tuple[RunState, ...] = (
    Staging(10, 20),
    Building(),
    Running(),
    Ending(),
    Finished(Exited(3), A, 99, True, 1.5, 2.5),
    Finished(Signalled(11)),
    Finished(Stopped("kill")),
    Finished(Crashed()),
    Declined("does_not_fit", "1 of 4 processors are free"),
)
RUNS = tuple(
    m.RunReport(AttemptId("k3f9a2c1", index, 1), state, index == 2, 3.5, 1.25, Progress(0.5, "x"))
    for index, state in enumerate(STATES)
)
PYTHON = Batch(
    meta=Meta(namespace="ana_cfd", batch_name="channel", capabilities=("gfortran",)),
    python=Python(
        initialize=PythonInitialize(
            build_file=File("build.py"), required_files=(File("mesh.h5", "m.h5"),)
        ),
        jobs=(PythonJob(name="one", file=File("run.py"), required_files=(File("a.json"),)),),
    ),
    resources=Resources(cpus=2, memory=2**30),
)
COMMAND = Batch(
    meta=Meta(namespace="ana_cfd", batch_name="sweep"),
    command=Command(
        initialize=CommandInitialize(run=("make", "-C", "src"), required_files=(File("src"),)),
        run="./solver --re {re}",
        env={"N": "{index}"},
        required_files=(File("cases/{re}.json", "case.json"),),
        sweep=Sweep(
            values={"re": (100, 2.5, "x", True), "grid": Range(start=32, to=64, step=16)},
            zip=(("re", "grid"),),
            exclude=({"re": 100},),
        ),
        name="re{re}",
        jobs=(CommandJob(name="a", run=("./a",), env={"B": "c"}, resources=Resources(cpus=1)),),
    ),
)
CONTAINERS = Batch(
    meta=Meta(namespace="ana_cfd", batch_name="containers", matrix="@ana:example.org"),
    apptainer=Apptainer(
        initialize=ApptainerInitialize(
            sif=File("solver.sif"),
            required_files=(File("mesh.h5"),),
            required_mounts=(File("/output"),),
        ),
        jobs=(
            ApptainerJob(
                name="a",
                required_files=(File("a.json", "case.json"),),
                required_mounts=(File("/data/t", "/tables"),),
                slurm={"time": "10:00:00", "ntasks": 4},
            ),
        ),
    ),
    resources=Resources(cpus=2, memory=2**30, gpus=1, disk=2**33),
    limits=Limits(run_time=3600.0),
    on_failure=OnFailure(retries=2, back_off=5.0),
    on_owner_return=OnOwnerReturn(do="evict", max_pause=60.0, then="move"),
    checkpoint=Checkpoint(signal="USR1", grace=5.0, files=("ckpt/",)),
    on_lost=OnLost(after=60.0, then="wait"),
    priority="high",
    after=("mesh",),
    notify=("desktop",),
    slurm={"partition": "cpu", "exclusive": True},
    network=False,
)
CONTENTS: dict[str, tuple[m.Content, ...]] = {
    "src": (m.Content("main.c", A, 10, True), m.Content("lib/x.c", B, 20))
}
JOB = m.JobStatus(
    "re100", "paused", 2, 1, 1, 3, "desk1", 10.5, 2.5, 0.25, "0", "you are here", "step 1", 9.5
)
COUNTS = {"paused": 1}
STATUS = m.BatchStatus("ana_cfd", "channel", "ana", 1.5, "running", COUNTS, 12.5, (JOB,))
NODE = m.NodeStatus(
    *("desk1", "paused", "present", "you are here", 2.5, 1.5, 8, 2**34, 1, ("gpu",)),
    *(("ana_cfd:channel/re100",), 0.5),
)

TO_COORDINATOR: list[m.AgentMessage] = [
    m.Hello("host", "boot", 1, "0.1.0", m.Resources(8, 2**34, 1, 2**40, ("gfortran",), ("bob",))),
    m.Report(
        *(3, 7, 2, VERDICT, True),
        (m.BuildReport("k3f9a2c1", B, "failed", C, 10, "exit 2"),),
        RUNS,
        (KEY,),
    ),
    m.Bye(3, "shutdown"),
    m.Tailed(5, b"\x00\xff text", 100, 200, False),
    m.Noticed(7),
]
TO_AGENT: list[m.CoordinatorMessage] = [
    m.Welcome(3, 5.0, "desk1"),
    m.Assign(1, ATTEMPT, SPEC),
    m.Withdraw(2, ATTEMPT, "superseded", 10.0),
    m.Accepted(ATTEMPT, "committed"),
    m.Missing(ATTEMPT, (A, B)),
    m.Ack(7, ("k3f9a2c1",)),
    m.Tail(5, ATTEMPT, "stderr", -1, 4096),
    m.Notice(7, KEY, "a batch has ended", "24 succeeded"),
    m.Rejected("another version"),
]
REQUESTS: list[m.ClientVerb] = [
    m.Submit(COMMAND, CONTENTS, "once", True),
    m.Submit(PYTHON, {}, "once again"),
    m.Kill("ana_cfd:channel/re100"),
    m.Remove("channel"),
    m.Hold("channel/re100"),
    m.Release("channel"),
    m.Retry("channel", "lost", True, "once"),
    m.Drain("desk1", True),
    m.Undrain("desk1"),
    m.Why("channel/re100"),
    m.Status("channel", False, 10, 20),
    m.Nodes(),
    m.Logs("channel/re100", "stderr", 2, -1, 10),
    m.Pull("channel", 500, 100),
    m.Watch("channel", 41, 1.5, 100, 10.0),
    m.Invite("submitter", "ana", 60.0, 3, True),
    m.Keys(),
    m.Revoke("ana"),
    m.Enrol(KEY, "ana"),
    m.Submit(CONTAINERS, {}, "a third time"),
    m.Export("ana_cfd:channel", "ab12cd34"),
    m.Import(
        "ana_cfd:channel",
        "ab12cd34",
        (m.Imported(3, 1, Exited(0), "0" * 64, 4096, 1000.0, 1060.5, 60.5),),
        (4, 5),
    ),
]
REPLIES: list[m.ClientReply] = [
    m.Failed("no", "because", "do this", 2),
    m.Done("killed"),
    m.Need((A, B)),
    m.Submitted("ana_cfd", "channel", 24, ("no workstation yet",)),
    m.ExportReply("abcdefgh", "ana", COMMAND, CONTENTS, ((0, 0), (3, 2))),
    m.StatusReply((STATUS,)),
    m.NodesReply((NODE,), 1.5, "0.1.0", "tcp://10.0.0.1:8952"),
    m.WhyReply(
        "ana_cfd:channel/re100",
        "queued",
        "somebody is there",
        (m.Obstacle("desk1", "input", "does not take jobs now: you are here", 9.5),),
        "wait",
        "tray lend 1h",
        "desk1",
        9.5,
        3,
        4,
        5,
    ),
    m.LogsReply(b"\x00text", 10, 20, True, 2, "paused", "you are here"),
    m.WatchReply((m.Happening(42, 1.5, "finished", "a:b/c", "desk1", 2, "x", 3.5, 0.5),), 42, True),
    m.PullReply(
        "ana_cfd",
        "channel",
        (m.JobResults("re100", "failed", (OutputFile("a", A, 1),), ("e",)),),
        5,
    ),
    m.InviteReply("fallow1-x", "submitter", 1.5),
    m.KeysReply((m.KeyStatus("ana", "submitter", KEY, 1.5, 2.5),)),
    m.Enrolled("ana", "submitter"),
]
DATA: list[m.DataMessage] = [
    m.Fetch(A, 262144, 262144),
    m.Chunk(A, 262144),
    m.Offer(A, 10**12),
    m.Have(A),
    m.Gone(A, "disk full"),
]
MANIFEST = Manifest((OutputFile("x/y.vtk", A, 10, True),), ("empty",), ("a socket was left out",))
