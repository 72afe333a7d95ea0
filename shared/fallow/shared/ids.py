"""Names and numbers: what batches, jobs and attempts are called, and which names are allowed.

Not the file system: a checked name is still data; `paths` decides where it may be written.
"""

import re
import unicodedata

from msgspec import Struct

from fallow.shared.errors import UsageError

NAME_LENGTH = 100
NAME_BYTES = 230  # with what we put around some names, what a file system takes (255)
_FORBIDDEN = set("/\\:")
_WINDOWS_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


class JobId(Struct, frozen=True, array_like=True, order=True):
    """One job: the batch's unique id (8 letters and digits, never reused) and its place, from 0."""

    batch: str
    index: int

    def __str__(self) -> str:
        return f"{self.batch}-{self.index}"


class AttemptId(Struct, frozen=True, array_like=True, order=True):
    """One attempt of a job; `number` counts from 1 and is never used twice for the job."""

    batch: str
    index: int
    number: int

    @property
    def job(self) -> JobId:
        return JobId(self.batch, self.index)

    def __str__(self) -> str:
        return f"{self.batch}-{self.index}-{self.number}"


def parse_attempt(text: str) -> AttemptId:
    """The attempt whose text form this is; ValueError for anything else."""
    match = re.fullmatch(r"([a-z0-9]{1,16})-(\d{1,9})-(\d{1,9})", text, re.ASCII)
    if match is None:
        raise ValueError(f"not an attempt: {text!r}")
    return AttemptId(match[1], int(match[2]), int(match[3]))


class Ref(Struct, frozen=True):
    """What a person typed: `[NAMESPACE:]BATCH[/JOB]`."""

    batch: str
    namespace: str | None = None
    job: str | None = None

    def __str__(self) -> str:
        head = f"{self.namespace}:" if self.namespace is not None else ""
        tail = f"/{self.job}" if self.job is not None else ""
        return f"{head}{self.batch}{tail}"


def parse_ref(text: str) -> Ref:
    """Read `[NAMESPACE:]BATCH[/JOB]`; UsageError when a part is missing or not a name."""
    namespace: str | None
    namespace, colon, rest = text.partition(":")
    if not colon:
        namespace, rest = None, text
    batch, slash, job = rest.partition("/")
    for what, part in (("namespace", namespace), ("batch", batch), ("job", job if slash else None)):
        problem = name_problem(part) if part is not None else None
        if problem:
            raise UsageError(
                f"{text!r} is not a batch or job",
                f"The {what} {part!r} {problem}.",
                "write [NAMESPACE:]BATCH[/JOB], for example ana_cfd:sweep_01/job_1",
            )
    return Ref(batch, namespace, job if slash else None)


def name_problem(name: str) -> str | None:
    """Why this cannot be the name of a namespace, batch, job, workstation or person, or None.

    The rule is that of the batch-file format: printable, none of `/ \\ :`, no leading `.`, `-` or
    space, no trailing dot or space, at most 100 characters (and 230 bytes, since it becomes a
    folder), not a name Windows reserves.
    """
    if not name:
        return "is empty"
    if len(name) > NAME_LENGTH:
        return f"has {len(name)} characters; {NAME_LENGTH} are allowed"
    for char in name:
        if char in _FORBIDDEN:
            return f"contains {char!r}"
        if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
            return f"contains the unprintable character {char!a}"
    if len(name.encode()) > NAME_BYTES:
        return f"takes {len(name.encode())} bytes; {NAME_BYTES} are allowed"
    if name[0] in ".- ":
        return f"starts with {name[0]!r}"
    if name[-1] in ". ":
        return f"ends with {name[-1]!r}"
    if _WINDOWS_RESERVED.fullmatch(name):
        return "is reserved on Windows"
    return None


def relative_path_problem(path: str) -> str | None:
    """Why this cannot be a file's place below a folder of ours, or None.

    The rule for every path that comes from outside, outputs of jobs included: it stays below its
    folder. Odd but harmless names pass, since a result must not be lost over its name.
    """
    if not path:
        return "is empty"
    if path.startswith("/"):
        return "is absolute"
    if "\0" in path:
        return "contains a NUL"
    if len(path.encode("utf-8", "surrogateescape")) > 4000:
        return "is longer than 4000 bytes"
    for part in path.split("/"):
        if part == "..":
            return "would leave its folder"
        if part in {"", "."}:
            return "has an empty part"
        if len(part.encode("utf-8", "surrogateescape")) > 255:
            return "has a part longer than 255 bytes"
    return None


def alias_problem(path: str) -> str | None:
    """Why this cannot be the alias of an input, or None: below its folder, and on any system."""
    problem = relative_path_problem(path)
    if problem:
        return problem
    for part in path.split("/"):
        for char in part:
            if char in "\\:" or ord(char) < 32 or ord(char) == 127:
                return f"contains {char!a}"
        if part[-1] in ". ":
            return f"has a part that ends with {part[-1]!r}"
        if _WINDOWS_RESERVED.fullmatch(part):
            return f"has the part {part!r}, which is reserved on Windows"
    return None
