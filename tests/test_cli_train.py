"""`charrnn train` around its run: what is shown where, and what signals do."""

import ctypes
import json
import math
import os
import signal
import subprocess
import sys
import time

import pytest
from commands import TESTS, complaint, environment
from training_reports import end as end_report
from training_reports import step

from charrnn.cli.events import json_event
from charrnn.prepare import stem_of

FAKE = [sys.executable, str(TESTS / "fake_training.py"), "train", "a.txt"]


def train(*arguments, tmp_path, redirect="", **variables):
    """Run the fake training in bash, where output can be redirected."""
    return subprocess.run(
        ["bash", "-c", f'"$@" {redirect}', "bash", *FAKE, *arguments],
        cwd=tmp_path,
        env=environment(CLOSED=str(tmp_path / "closed"), **variables),
        capture_output=True,
        timeout=60,
        check=False,
    )


def hear_hangups():
    """Undo what a nohup around the tests would pass on."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Training:
    """A fake training at work, at the phase asked for."""

    def __init__(self, tmp_path, phase, *arguments, before=hear_hangups, **variables):
        ready = tmp_path / "ready"
        self.process = subprocess.Popen(
            [*FAKE, *arguments],
            cwd=tmp_path,
            env=environment(
                READY=str(ready),
                PHASE=phase,
                CLOSED=str(tmp_path / "closed"),
                **{"STEPS": "3000", **variables},
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=before,
        )
        deadline = time.monotonic() + 30
        while not ready.exists():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def send(self, signum):
        self.process.send_signal(signum)

    def end(self):
        """Return the exit code and the last line on stderr."""
        out, err = self.process.communicate(timeout=30)
        assert out == b""
        return self.process.returncode, (err.decode().splitlines() or [""])[-1]


@pytest.mark.slow
def test_nothing_goes_to_standard_output_and_plain_lines_to_stderr(tmp_path):
    process = train(tmp_path=tmp_path)
    assert (process.returncode, process.stdout) == (0, b"")
    lines = process.stderr.decode().splitlines()
    assert sum(line.startswith("step ") for line in lines) == 8 + 2
    assert lines[-1].endswith("charrnn sample -m runs/play")
    assert b"\x1b" not in process.stderr
    assert b"\r" not in process.stderr
    assert (tmp_path / "closed").exists()


@pytest.mark.slow
def test_json_lines_are_the_records_of_the_log_between_start_and_end(tmp_path):
    process = train("--json", "-q", tmp_path=tmp_path)
    start, *records, end = (json.loads(line) for line in process.stdout.splitlines())
    assert [record["event"] for record in records] == ["log"] * 8 + ["eval", "sample"]
    assert records[0]["step"] == 1
    assert list(records[0])[:3] == ["event", "step", "epoch"]
    assert records[-1]["text"] == "\x1b[31mTo be\n[/x]"
    assert process.stderr == b""
    assert (start["event"], start["directory"]) == ("start", "runs/play")
    assert (start["resumed_from"], start["notes"]) == (None, [])
    assert (start["model"]["vocab_size"], start["options"]["seq_length"]) == (65, 7)
    assert (start["num_parameters"], start["num_valid_tokens"]) == (12_345, 111)
    assert end == {
        "event": "end",
        "step": 8,
        "directory": "runs/play",
        "elapsed_seconds": 187.0,
        "best_loss": 1.5,
        "best_bits_per_char": 2.164,
        "best_step": 8,
        "stopped": "budget",
    }


def test_a_loss_in_bits_that_is_not_known_is_null():
    assert json_event(end_report(5, bits=math.nan))["best_bits_per_char"] is None
    assert json_event(end_report(5, loss=None, bits=None))["best_loss"] is None
    assert json_event(step(5)) is None


@pytest.mark.slow
def test_colours_come_when_they_are_asked_for(tmp_path):
    assert b"\x1b[2mstep 8  sample" in train("--color", "always", tmp_path=tmp_path).stderr
    assert b"\x1b" not in train("--color", "never", tmp_path=tmp_path).stderr


@pytest.mark.slow
@pytest.mark.parametrize("redirect", ["2>&1 | head -1", "2>&-", "2>/dev/full", ">&- 2>&-"])
def test_training_goes_on_when_nobody_reads(tmp_path, redirect):
    process = train(tmp_path=tmp_path, redirect=redirect + "; exit ${PIPESTATUS[0]}")
    assert process.returncode == 0
    assert process.stderr == b""
    assert (tmp_path / "closed").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("redirect", "words"),
    [(">&-", "it is closed"), ("> /dev/full", "No space left on device")],
)
def test_json_needs_a_standard_output(tmp_path, redirect, words):
    process = train("--json", "-q", tmp_path=tmp_path, redirect=redirect)
    assert process.returncode == 1
    assert complaint(process) == f"cannot write to standard output: {words}"


@pytest.mark.slow
def test_a_run_goes_on_when_nobody_reads_its_json(tmp_path):
    redirect = "| head -1; exit ${PIPESTATUS[0]}"
    process = train("--json", tmp_path=tmp_path, redirect=redirect, STEPS="40")
    assert process.returncode == 0
    assert json.loads(process.stdout)["event"] == "start"
    assert process.stderr.splitlines()[-1].startswith(b"best loss")


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_finishes_the_step_tells_how_to_go_on_and_kills(tmp_path, signum):
    training = Training(tmp_path, "step", "-o", "my run")
    training.send(signum)
    code, line = training.end()
    assert code == -signum
    assert line.startswith("saved at step ")
    assert line.endswith("; to go on: charrnn train --resume -o 'my run'")
    assert (tmp_path / "closed").exists()


@pytest.mark.slow
@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_kills_at_once(tmp_path, first, second):
    training = Training(tmp_path, "step", DEAF="1")
    training.send(first)
    time.sleep(0.2)
    assert training.process.poll() is None
    training.send(second)
    assert training.end()[0] == -second
    assert not (tmp_path / "closed").exists()


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_before_the_first_step_a_signal_kills_at_once_and_tidies_up(tmp_path, signum):
    training = Training(tmp_path, "reading")
    began = time.monotonic()
    training.send(signum)
    assert training.end() == (-signum, "")
    assert time.monotonic() - began < 2
    assert (tmp_path / "closed").exists()


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGHUP, signal.SIGINT])
def test_an_ignored_signal_stays_ignored(tmp_path, signum):
    def ignore():
        signal.signal(signum, signal.SIG_IGN)

    training = Training(tmp_path, "step", before=ignore, STEPS="30")
    training.send(signum)
    code, line = training.end()
    assert code == 0
    assert line.startswith("best loss")


@pytest.mark.slow
def test_a_stopped_process_goes_on(tmp_path):
    training = Training(tmp_path, "step", STEPS="60")
    training.send(signal.SIGTSTP)
    time.sleep(0.1)
    training.send(signal.SIGCONT)
    assert training.end()[0] == 0


def test_threads_are_set_before_torch_reads_them(tmp_path):
    code = (
        "import os, sys; from charrnn.cli.threads import prepare_torch as p; p({}); "
        "print(os.environ['OMP_NUM_THREADS'], os.environ['GOMP_SPINCOUNT'], "
        "any(name in sys.modules for name in ('torch', 'numpy')))"
    )

    def settings(threads, **variables):
        env = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS",)}
        command = [sys.executable, "-c", code.format(threads)]
        done = subprocess.run(command, capture_output=True, env={**env, **variables}, check=True)
        return done.stdout.decode().split()

    cores = str(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else None
    assert settings(3) == ["3", "1000", "False"]
    assert settings(None)[0] == (cores or str(os.cpu_count()))
    assert settings(3, OMP_NUM_THREADS="7", GOMP_SPINCOUNT="9") == ["7", "9", "False"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not the GNU C library")
def test_megabytes_that_are_asked_for_again_and_again_come_without_page_faults():
    code = (
        "import resource, threading; from charrnn.cli.threads import keep_freed_memory; {}\n"
        "def work():\n"
        "    for turn in range(30):\n"
        "        if turn == 10: before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "        parts = [bytearray(8 << 20) for _ in range(3)]; parts.clear()\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n"
        "work()\n"
        "other = threading.Thread(target=work); other.start(); other.join()\n"
    )

    def faults(prepare):
        command = [sys.executable, "-c", code.format(prepare)]
        done = subprocess.run(command, capture_output=True, check=True)
        return [int(number) for number in done.stdout.split()]

    assert max(faults("keep_freed_memory()")) < 1_000 < min(faults(""))
    assert min(faults("keep_freed_memory(dict(MALLOC_ARENA_MAX=1))")) > 1_000


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a/plays.txt.gz", "plays"),
        ("src/*.py", "src"),
        ("a/b*/c?.txt", "a"),
        ("wiki.train.txt.xz", "wiki.train"),
        ("wiki.valid.txt", "wiki.valid"),
        ("*.txt", "text"),
        ("folder/", "folder"),
        ("-", "stdin"),
        ("../x.txt", "x"),
        ("/", "text"),
    ],
)
def test_a_run_is_named_by_its_first_text(text, name):
    assert stem_of(text) == name
