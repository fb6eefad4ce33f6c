"""Faults in file calls: a command, the n-th call of it that fails, and what must hold after it."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from commands import CHARRNN, environment

from charrnn.modeldir import read_model, read_newest_checkpoint
from charrnn.store import is_temporary

HERE = Path(__file__).parent
TEXT = "".join(f"{i} plus {i % 11} is {i + i % 11}; and so on,\n" for i in range(600))  # 20 kB
OPTIONS = {
    "hidden_size": 64,
    "dropout": 0.3,
    "max_steps": 40,
    "save_every": 5,
    "eval_every": 8,
    "sample_every": 16,
    "log_every": 4,
    "batch_size": 4,
    "seq_length": 16,
    "threads": 1,
}
ERRORS = ("EIO", "ENOSPC", "EDQUOT", "EROFS")
KILLS = ("KILL", "TORN")
NO_CHECKPOINT = "charrnn: warning: no checkpoint in run: starting from step 0"
TIMES = ("elapsed_seconds", "tokens_per_second")


@dataclass(frozen=True)
class Fault:
    """What happens at the call numbered `at`; 0 is never."""

    at: int = 0
    kind: str = "EIO"
    sticky: bool = False
    reads: bool = False  # whether calls that read count, too


@dataclass(frozen=True)
class Ended:
    """How a command ended, what it said, and the file calls that it made."""

    code: int
    stdout: str
    stderr: str
    calls: list[str]
    hits: int
    seconds: float  # of the processor
    ended: float  # on the monotonic clock


def build_shim(folder):
    """Compile the shim; return its path."""
    library = folder / "faultshim.so"
    source = HERE / "faultshim.c"
    command = ["cc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, source, "-ldl"]
    subprocess.run(command, check=True)
    return library


def preloaded(shim, **variables):
    """The environment of a process with the shim in it."""
    return environment(LD_PRELOAD=str(shim), OMP_NUM_THREADS="1", **variables)


class Server:
    """Runs commands in forked children, one after the other."""

    def __init__(self, shim, folder, *before):
        self.folder = folder
        self.process = subprocess.Popen(
            [*before, sys.executable, str(HERE / "faultserver.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=preloaded(shim),
            text=True,
        )

    def ask(self, order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def command(self, *command):
        """Run another program where the server is; it must end well."""
        answer = self.ask({"command": [str(part) for part in command]})
        assert answer["code"] == 0, answer

    def run(self, case, *arguments, fault=None, **changes):
        """Run a command in the folder `case`, below which the calls are counted."""
        fault = fault or Fault()
        said = [self.folder / "stdout", self.folder / "stderr"]
        for path in said:
            path.write_bytes(b"")
        order = {
            "arguments": [str(argument) for argument in arguments],
            "cwd": str(case),
            "environ": {"TMPDIR": str(case), "XDG_CACHE_HOME": str(case / "cache")},
            "stdout": str(said[0]),
            "stderr": str(said[1]),
            "under": str(case),
            "at": fault.at,
            "kind": fault.kind,
            "sticky": int(fault.sticky),
            "reads": int(fault.reads),
            "closed": [],
            "signals": [],
            "limits": {},
            **changes,
        }
        answer = self.ask(order)
        stdout, stderr = (path.read_text() for path in said)
        return Ended(stdout=stdout, stderr=stderr, **answer)

    def count(self, case, *arguments):
        """Return the file calls of a command that nothing disturbs; it must end well."""
        ended = self.run(case, *arguments)
        assert (ended.code, ended.stderr) == (0, ""), ended
        return ended.calls

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)


def train_arguments(corpus, *more):
    """The command that every case runs: it goes on where there is something to go on with."""
    pairs = [(f"--{name.replace('_', '-')}", value) for name, value in OPTIONS.items()]
    return ["train", corpus, "-o", "run", "-q", *[part for pair in pairs for part in pair], *more]


def whole_process(shim, case, arguments, fault):
    """Run a command as a process of its own with the shim in it."""
    variables = {"FAULT_DIR": str(case), "FAULT_AT": str(fault.at), "FAULT_KIND": fault.kind}
    if fault.sticky:
        variables["FAULT_STICKY"] = "1"
    return subprocess.run(
        [*CHARRNN, *map(str, arguments)],
        cwd=case,
        env=preloaded(shim, TMPDIR=str(case), **variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def weights_hash(directory):
    return hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest()


def log_without_times(directory):
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in TIMES} for line in lines]


def names(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def litter(directory):
    """Temporary files and lock files anywhere below `directory`."""
    names = [path.name for path in directory.rglob("*")]
    return [name for name in names if is_temporary(name) or name == ".lock"]


def check_said(ended, fault):
    """I1 and I2: one line on stderr or none, nothing on stdout, the code that fits."""
    assert ended.stdout == ""
    lines = ended.stderr.splitlines()
    if ended.code == 1:
        assert len(lines) == 1, lines
        assert lines[0].startswith("charrnn: error: "), lines
        assert "CHARRNN_DEBUG" not in lines[0], lines
    elif ended.code == -9:
        assert fault.kind in KILLS
        assert lines == []
    else:
        unread = "charrnn: warning: cannot read run/"  # then the older checkpoint was taken
        assert ended.code == 0
        assert not [line for line in lines if not (fault.reads and line.startswith(unread))]


def saved_steps(calls):
    """The steps whose checkpoint was renamed into place in `calls`, in order."""
    found = [re.fullmatch(r"rename .*/step-(\d+)\.safetensors", call) for call in calls]
    return [int(match[1]) for match in found if match]


def check_opens(run, ended, fault, before=0):
    """I3: the model opens if one was ever there, and the newest checkpoint is old or new."""
    done = ended.calls[: fault.at - 1] if fault.at else ended.calls
    model_seen = before or any(c.endswith("/model.safetensors") and "rename" in c for c in done)
    if model_seen or (run / "model.safetensors").exists():
        read_model(run)
    old = max([before, *saved_steps(done)])
    following = saved_steps(ended.calls)
    newest = read_newest_checkpoint(run) if (run / "checkpoints").is_dir() else None
    step = 0 if newest is None else int(newest.metadata["step"])
    assert newest is None or newest.warnings == []
    assert step in {old, *following}, (step, old, following)


def check_resumed(server, case, corpus, whole):
    """I4 and I5: the next run ends as the undisturbed one, and nothing is left lying about."""
    again = server.run(case, *train_arguments(corpus, "--resume"))
    assert (again.code, again.stdout) == (0, ""), again.stderr
    assert all(line.startswith(NO_CHECKPOINT) for line in again.stderr.splitlines()), again.stderr
    run = case / "run"
    assert weights_hash(run) == weights_hash(whole)
    assert log_without_times(run) == log_without_times(whole)
    assert names(run) == names(whole)
    assert litter(case) == []


def fresh_case(folder, number, start=None):
    """A folder for one fault; `start` is copied into it as the run that is there before."""
    case = folder / f"case-{number}"
    shutil.rmtree(case, ignore_errors=True)
    case.mkdir()
    if start is not None:
        shutil.copytree(start, case / "run")
    return case
