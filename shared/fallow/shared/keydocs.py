"""What every key of a batch file means, in a sentence; shown by editors through the schema.

Not the long form (docs/batch-file.md), nor who reads the keys (`batchkeys`): a test holds the
two tables together.
"""

from typing import Final

KEY_DOCS: Final[dict[str, dict[str, str]]] = {
    "Batch": {
        "meta": "What the batch is called, and which workstations it needs.",
        "python": "Jobs that are Python scripts, as in distribute.",
        "apptainer": "Jobs that run in a container image, as in distribute.",
        "command": "Jobs that are command lines: a sweep, or a list.",
        "resources": "What each job needs; without it a job gets the whole workstation.",
        "limits": "Bounds over which a job has failed.",
        "on_failure": "Whether a job that failed is tried again; it is not unless asked.",
        "on_owner_return": "What becomes of a running job when somebody sits down.",
        "checkpoint": "How a job saves itself before it is moved; without it, it starts anew.",
        "on_lost": "When a job of a silent workstation is started elsewhere.",
        "priority": "Which of your own batches go first: low, normal (default) or high.",
        "after": "Earlier batches, or jobs ([NAMESPACE:]BATCH[/JOB]), that must have succeeded.",
        "notify": 'Who is told of the end: desktop, "matrix:@user:server" or a webhook\'s address.',
        "slurm": "Options of sbatch, for an export to SLURM only; passed on as they are.",
        "network": "Whether the jobs may use the network; true by default.",
    },
    "Meta": {
        "namespace": "The first folder of the results; groups batches.",
        "batch_name": "The second folder of the results; unique in its namespace.",
        "capabilities": "Words that a workstation must offer, such as gfortran or gpu.",
        "matrix": 'A Matrix user, "@user:server", who is told when the batch ends.',
    },
    "Resources": {
        "cpus": "Processor cores of each job; by default all of the workstation's.",
        "memory": "Memory of each job, such as 4GiB; by default all of the workstation's.",
        "gpus": "GPUs of each job; none by default, one with the capability `gpu`.",
        "disk": "Free disk space that each job may need, such as 10GiB; no wish by default.",
    },
    "Limits": {
        "run_time": "The longest running time, such as 6h; pauses do not count. None by default.",
    },
    "OnFailure": {
        "retries": "How often a failed job is tried again; 0 by default.",
        "back_off": "How long to wait before the first retry, then twice as long; 30s by default.",
    },
    "OnOwnerReturn": {
        "do": "freeze (default) or evict (default for a job with a GPU and a checkpoint).",
        "max_pause": "How long a job may stand still there, such as 2h; for ever by default.",
        "then": "After max_pause: wait (default) or move (default where there is a checkpoint).",
    },
    "Checkpoint": {
        "signal": "The signal that tells the job to save itself; TERM by default.",
        "grace": "How long it may take to; 60s by default.",
        "files": "Files and folders/ of the work folder that are saved, and put back later.",
    },
    "OnLost": {
        "after": "How long a workstation may be silent, such as 30m (default).",
        "then": "rerun (default): start the job elsewhere; wait: for the workstation.",
    },
    "Python": {
        "initialize": "What is done once per batch and workstation.",
        "jobs": "The jobs, each with a script of its own.",
    },
    "PythonInitialize": {
        "build_file": "A Python script, run once per batch and workstation as ./build.py.",
        "required_files": "Files and folders for the build and for every job, in ./input.",
    },
    "PythonJob": {
        "name": "The third folder of the results; unique in the batch.",
        "file": "A Python script, run as ./run.py <cpus>.",
        "required_files": "Files and folders of this job, in ./input; they go before the batch's.",
        "slurm": "Options of sbatch for this job; they go before the batch's.",
    },
    "Apptainer": {
        "initialize": "The image, and what every job finds beside it.",
        "jobs": "The jobs, which differ by their files.",
    },
    "ApptainerInitialize": {
        "sif": "The image, whose app `distribute` is run with the number of processors.",
        "required_files": "Files and folders for every job, in /input.",
        "required_mounts": "Folders of the container, such as /output, that are made writable.",
    },
    "ApptainerJob": {
        "name": "The third folder of the results; unique in the batch.",
        "required_files": "Files and folders of this job, in /input; they go before the batch's.",
        "required_mounts": "More folders of the container that are made writable.",
        "slurm": "Options of sbatch for this job; they go before the batch's.",
    },
    "Command": {
        "initialize": "What is done once per batch and workstation.",
        "run": "What each job runs: a shell line, or a list of program and arguments.",
        "env": "Environment variables of each job; placeholders are filled in.",
        "required_files": "Files and folders of each job, in ./input; placeholders are filled in.",
        "sweep": "Names with their values; every combination of them is a job.",
        "name": "The names of a sweep's jobs, such as re{re}_g{grid}.",
        "jobs": "The jobs one by one, instead of sweep and name.",
    },
    "CommandInitialize": {
        "run": "A command, run once per batch and workstation, such as make -j {cpus}.",
        "required_files": "Files and folders for the build and for every job, in ./input.",
    },
    "CommandJob": {
        "name": "The third folder of the results; unique in the batch.",
        "run": "What this job runs, instead of the batch's command.",
        "env": "Environment variables of this job; they go before the batch's.",
        "required_files": "Files and folders of this job; they go before the batch's.",
        "resources": "What this job needs, key by key instead of the batch's.",
        "slurm": "Options of sbatch for this job; they go before the batch's.",
    },
    "File": {
        "path": "Where it is; a relative path belongs to the folder of the batch file.",
        "alias": "The name it gets in the input folder; by default the last part of its path.",
    },
    "Mount": {
        "path": "A place in the container; with an alias, a local folder its owner lets jobs read.",
        "alias": "Where the container sees that folder of the workstation.",
    },
    "Range": {
        "from": "The first value.",
        "to": "The last value; it is part of the range.",
        "step": "The distance between two values; 1 by default.",
        "count": "How many values there are, instead of a step.",
        "scale": "With a count: linear (default), or log for equal ratios.",
    },
    "Sweep": {
        "zip": "Lists of names that run together instead of being combined.",
        "exclude": "Combinations to leave out: names with values that all have to match.",
        "file": "A table of values: CSV with a line of names, or JSON lines.",
    },
}
