"""Signals in every phase of a training: it ends at once, keeps what was done, and can go on."""

import os
import random
import signal
import subprocess
import time

import pytest
from commands import CHARRNN, environment, shell
from faults import check_resumed, fresh_case, log_without_times, train_arguments, weights_hash
from terminals import charrnn as on_terminal

from charrnn.modeldir import read_newest_checkpoint

pytestmark = pytest.mark.slow
long = pytest.mark.torture
LIMIT = 2.0  # seconds from the signal to the end
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
BEFORE = {  # phases in which nothing is worth saving yet: the function, and which call of it
    "reading": ("charrnn.dataset:collect_sources", 1),
    "vocabulary": ("charrnn.dataset:choose_vocabulary", 1),
    "building": ("charrnn.session:make_optimizer", 1),
}
AMID = {  # phases after the first step, with the step that must be saved
    "log": ("charrnn.recorder:Journal", 1, 4),
    "step": ("charrnn.trainer:compute_gradients", 13, 13),
    "evaluation": ("charrnn.loop:validate", 2, 16),
    "model": ("charrnn.recorder:write_model", 4, 16),
    "card": ("charrnn.recorder:model_card", 4, 16),
    "sample": ("charrnn.loop:sample", 2, 32),
    "save": ("charrnn.modeldir.checkpoints:write_file", 3, 15),
    "prune": ("charrnn.modeldir.checkpoints:remove_file", 2, 20),
    "last step": ("charrnn.trainer:compute_gradients", 40, 40),
    "last evaluation": ("charrnn.loop:validate", 6, 40),
    "last save": ("charrnn.modeldir.checkpoints:write_file", 8, 40),
}
OFTEN = ("step", "evaluation", "model", "save", "last step", "last save")  # tried each time


def pairs(phases, often):
    """Return all phases with all signals; only SIGTERM in those of `often` is tried each time."""
    return [
        pytest.param(
            phase, number, marks=[] if phase in often and number == signal.SIGTERM else [long]
        )
        for phase in phases
        for number in STOPPING
    ]


def stop_in(server, case, corpus, signals, *more):
    """Run until a signal ends it; return how it ended, and after how many seconds."""
    sent = server.folder / "sent"
    sent.unlink(missing_ok=True)
    orders = [(place, int(number), call, str(sent)) for place, number, call in signals]
    ended = server.run(case, *train_arguments(corpus, *more), signals=orders)
    return ended, ended.ended - float(sent.read_text())


@pytest.mark.parametrize(("phase", "number"), pairs(BEFORE, BEFORE))
def test_before_the_first_step_a_signal_ends_it_and_nothing_is_left(
    server, cases, corpus, phase, number
):
    case = fresh_case(cases, "signal")
    place, call = BEFORE[phase]
    ended, seconds = stop_in(server, case, corpus, [(place, number, call)])
    assert (ended.code, ended.stdout, ended.stderr) == (-number, "", "")
    assert seconds < LIMIT
    assert not (case / "run").exists()


@pytest.mark.parametrize(("phase", "number"), pairs(AMID, OFTEN))
def test_amid_a_run_a_signal_saves_the_step_and_the_resume_is_exact(
    server, cases, corpus, whole, phase, number
):
    case = fresh_case(cases, "signal")
    place, call, step = AMID[phase]
    ended, seconds = stop_in(server, case, corpus, [(place, number, call)])
    assert (ended.code, ended.stdout) == (-number, "")
    assert all("--resume" in line for line in ended.stderr.splitlines())
    assert seconds < LIMIT
    assert read_newest_checkpoint(case / "run").metadata["step"] == str(step)
    check_resumed(server, case, corpus, whole)


@pytest.mark.parametrize(
    "phase", ["save", *(pytest.param(p, marks=long) for p in ("step", "evaluation", "prune"))]
)
def test_the_second_signal_ends_it_at_once_and_the_older_checkpoint_is_whole(
    server, cases, corpus, whole, phase
):
    case = fresh_case(cases, "signal")
    place, call, step = AMID[phase]
    twice = [(place, signal.SIGINT, call), (place, signal.SIGINT, call)]
    ended, seconds = stop_in(server, case, corpus, twice)
    assert (ended.code, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")
    assert seconds < LIMIT
    newest = read_newest_checkpoint(case / "run")
    assert newest.warnings == []
    assert step - 6 < int(newest.metadata["step"]) <= step
    check_resumed(server, case, corpus, whole)


def write_words(path, num_bytes):
    """Write a text of many different words."""
    rng = random.Random(3)
    line = " ".join(f"w{rng.randrange(10**6)}" for _ in range(2000)) + "\n"
    with path.open("w") as file:
        for number in range(num_bytes // len(line)):
            file.write(line.replace("w", f"{number}w"))


def hear_hangups():
    """Undo what a nohup around the tests would pass on."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Running:
    """A training as a process of its own."""

    def __init__(self, cwd, *arguments, before=(), **options):
        self.process = subprocess.Popen(
            [*before, *CHARRNN, *map(str, arguments)],
            cwd=cwd,
            env=environment(OMP_NUM_THREADS="1", XDG_CACHE_HOME=str(cwd / "cache")),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=hear_hangups,
            **options,
        )

    def until(self, start):
        """Read what it says up to a line that begins with `start`."""
        for line in self.process.stderr:
            if line.startswith(start):
                return line
        raise AssertionError(self.process.wait())

    def end(self, number):
        """Send a signal; return the seconds to the end, and what was said until then."""
        began = time.monotonic()
        self.process.send_signal(number)
        said = self.process.communicate(timeout=60)
        return time.monotonic() - began, said


@long
@pytest.mark.parametrize("seconds", [0.7, 2.0, 4.0])
def test_while_much_is_read_a_sigterm_ends_it_within_two_seconds(tmp_path, seconds):
    write_words(tmp_path / "words.txt", 40_000_000)
    running = Running(tmp_path, "train", "words.txt", "--level", "word", "-o", "run")
    time.sleep(seconds)
    assert running.process.poll() is None
    lasted, said = running.end(signal.SIGTERM)
    assert running.process.returncode == -signal.SIGTERM
    assert said == ("", "")
    assert lasted < LIMIT
    assert not (tmp_path / "run").exists()


def plain(corpus, *more):
    """The command of the fixture, with a line for each step."""
    arguments = [str(a) for a in train_arguments(corpus) if a != "-q"]
    arguments[arguments.index("--log-every") + 1] = "1"
    return [*arguments, *more]


@long
def test_a_long_evaluation_is_broken_off_saved_and_made_again(tmp_path, corpus):
    held_out = tmp_path / "held-out.txt"
    held_out.write_text(corpus.read_text() * 400)
    running = Running(tmp_path, *plain(corpus, "--valid", held_out, "--eval-every", 3))
    running.until("step 3 ")
    time.sleep(0.3)
    lasted, (_, said) = running.end(signal.SIGTERM)
    assert running.process.returncode == -signal.SIGTERM
    assert lasted < LIMIT
    assert "charrnn train --resume -o run" in said
    assert read_newest_checkpoint(tmp_path / "run").metadata["step"] == "3"


@long
def test_under_nohup_a_hangup_is_not_heard(tmp_path, corpus, whole):
    running = Running(tmp_path, *plain(corpus), before=["nohup"])
    running.until("step 5 ")
    running.process.send_signal(signal.SIGHUP)
    _, said = running.process.communicate(timeout=60)
    assert running.process.returncode == 0
    assert "step 40 " in said
    assert weights_hash(tmp_path / "run") == weights_hash(whole)


@long
def test_a_run_that_was_stopped_and_continued_by_the_shell_is_the_same(tmp_path, corpus, whole):
    running = Running(tmp_path, *plain(corpus), process_group=0)
    running.until("step 5 ")
    os.killpg(running.process.pid, signal.SIGTSTP)
    pid, status = os.waitpid(running.process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    time.sleep(0.2)
    os.killpg(running.process.pid, signal.SIGCONT)
    running.process.communicate(timeout=60)
    assert (pid, running.process.returncode) == (running.process.pid, 0)
    assert weights_hash(tmp_path / "run") == weights_hash(whole)
    first, second = log_without_times(tmp_path / "run"), log_without_times(whole)
    assert [line["valid_loss"] for line in first if line["event"] == "eval"] == [
        line["valid_loss"] for line in second if line["event"] == "eval"
    ]


@long
def test_a_shell_loop_of_trainings_stops_at_ctrl_c(tmp_path, corpus):
    command = " ".join([*CHARRNN, *plain(corpus, "--max-steps", "100000")])
    script = f"for i in 1 2 3; do {command} --force 2>> said$i; echo again; done"
    loop = subprocess.Popen(
        ["bash", "-c", script], cwd=tmp_path, env=environment(), stdout=-1, process_group=0
    )
    deadline = time.monotonic() + 30
    while "step 3 " not in (
        (tmp_path / "said1").read_text() if (tmp_path / "said1").exists() else ""
    ):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(loop.pid, signal.SIGINT)
    out, _ = loop.communicate(timeout=30)
    assert (loop.returncode, out) == (-signal.SIGINT, b"")
    assert "charrnn train --resume -o run" in (tmp_path / "said1").read_text()
    assert not (tmp_path / "said2").exists()


@long
def test_a_training_whose_output_goes_to_head_ends_well(tmp_path, corpus, whole):
    command = " ".join(plain(corpus))
    ended = shell(f"charrnn {command} 2>&1 | head -1; echo ${{PIPESTATUS[0]}}", cwd=tmp_path)
    lines = ended.stdout.splitlines()
    assert (len(lines), lines[-1], ended.stderr) == (2, b"0", b"")
    assert weights_hash(tmp_path / "run") == weights_hash(whole)


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=long)])
def test_on_a_terminal_a_signal_leaves_the_cursor_and_the_modes_as_they_were(
    tmp_path, corpus, number
):
    terminal = on_terminal(*plain(corpus, "--max-steps", "100000"), cwd=tmp_path)
    terminal.read_until("ETA")
    terminal.process.send_signal(number)
    code, shown = terminal.end()
    assert code == -number
    assert shown.endswith("charrnn train --resume -o run\r\n")
    assert shown.rfind("\x1b[?25h") >= shown.rfind("\x1b[?25l")
    assert terminal.after == terminal.modes
