"""Load: what is done very often, for very long, on very much, or by many at once."""

import gc
import os
import subprocess
import sys
import threading
import time
from itertools import islice
from pathlib import Path

import pytest
from commands import CHARRNN, environment
from model_directories import make_config, make_tokenizer, make_weights
from training_runs import TEXT, StopAfter, ask

from charrnn.api import load
from charrnn.errors import BusyError
from charrnn.modeldir import read_model, write_model
from charrnn.prepare import prepare
from charrnn.recorder import Recorder
from charrnn.reports import StepReport
from charrnn.run import run_training
from charrnn.sampler import sample
from charrnn.schedule import FIRST_SECONDS
from charrnn.store import LOCK_NAME

GOLDEN = Path(__file__).parent / "golden" / "model"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
MB = 2**20


def memory():
    """Return the bytes of memory of our own that this process holds."""
    gc.collect()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.slow
@LINUX
@pytest.mark.parametrize(
    "count",
    [30_000, *(pytest.param(10**n, marks=pytest.mark.torture) for n in (6, 7))],
)
def test_a_long_sample_takes_no_more_memory_than_a_short_one(count):
    pieces = load(GOLDEN).stream(length=0, seed=1)
    written = sum(map(len, islice(pieces, 10_000)))
    before = memory()
    written += sum(map(len, islice(pieces, count)))
    assert memory() - before < 4 * MB
    assert written >= count


@pytest.mark.parametrize("saves", [20, pytest.param(200, marks=pytest.mark.torture)])
def test_a_sampler_beside_a_saving_run_has_the_old_or_the_new_model_and_never_an_error(
    saves, tmp_path
):
    config, tokenizer = make_config(num_layers=1), make_tokenizer()
    models = [make_weights(config, seed) for seed in (1, 2)]
    names = {weights["output.bias"].tobytes() for weights in models}
    write_model(tmp_path, config, tokenizer, models[0])
    done, seen, failures = threading.Event(), set(), []

    def save():
        for number in range(saves):
            write_model(tmp_path, config, tokenizer, models[number % 2], step=number)
        done.set()

    def draw():
        while not done.is_set():
            try:
                stored = read_model(tmp_path)
                list(islice(sample(stored, stored.generation, seed=1), 5))
            except Exception as error:
                failures.append(error)
                return
            seen.add(stored.weights["output.bias"].tobytes())

    (tmp_path / LOCK_NAME).touch()  # as beside a run
    threads = [threading.Thread(target=f) for f in (save, draw, draw, draw)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert seen == names


@pytest.mark.parametrize("rounds", [5, pytest.param(100, marks=pytest.mark.torture)])
def test_of_runs_that_start_at_once_exactly_one_wins_and_the_others_say_who_did(
    rounds, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(TEXT[:300])
    for number in range(rounds):
        request = ask(corpus, output=tmp_path / f"run-{number}")
        gate, won, lost = threading.Barrier(4), [], []

        def start(request=request, gate=gate, won=won, lost=lost):
            gate.wait()
            try:
                won.append(prepare(request))
            except BusyError as error:
                lost.append(str(error))

        threads = [threading.Thread(target=start) for _ in range(4)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(won), len(lost)) == (1, 3)
        assert all(f"process {os.getpid()}" in line for line in lost)
        assert time.monotonic() - began < 2
        won[0].lock.discard()
        assert list(request.output.glob("*")) == []


@pytest.mark.slow
@LINUX
@pytest.mark.parametrize(
    "cycles", [12, *(pytest.param(count, marks=pytest.mark.torture) for count in (150, 1000))]
)
def test_cycles_of_saving_and_resuming_leave_no_descriptor_file_or_memory_behind(
    cycles, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("os.fsync", lambda descriptor: None)  # no power is lost here
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(TEXT[:600])
    plan = {"max_steps": 2000, "eval_every": 0, "save_every": 0, "log_every": 50, "sample_every": 0}
    sizes = {"hidden_size": 6, "embedding_size": 4, "batch_size": 3, "seq_length": 8}
    counts = []
    for cycle in range(1, cycles + 1):
        stop = StopAfter(cycle)
        for report in run_training(ask(corpus, **sizes, **plan, resume=True), stop):
            if isinstance(report, StepReport):
                stop.now = report.step
        if cycle in (cycles // 2, cycles):
            files = sorted(p.name for p in (tmp_path / "run").rglob("*") if p.is_file())
            counts.append((memory(), descriptors(), len(files)))
    (memory_then, *then), (memory_now, *now) = counts
    assert now == then
    assert memory_now - memory_then < 8 * MB


@pytest.mark.slow
@pytest.mark.parametrize("count", [3, pytest.param(50, marks=pytest.mark.torture)])
def test_samplers_at_once_write_the_same_text_for_the_same_seed(count):
    command = [*CHARRNN, "sample", "-m", str(GOLDEN), "--seed", "5", "-l", "200"]
    env = environment(OMP_NUM_THREADS="1")
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
        for _ in range(count)
    ]
    ended = [process.communicate() for process in running]
    assert {errors for _, errors in ended} == {b""}
    assert len({text for text, _ in ended}) == 1
    assert len(ended[0][0].decode()) == 200


READ = """
import resource, sys, time
from charrnn.config import TrainConfig
from charrnn.dataset import load_dataset
resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[2]), int(sys.argv[2])))
began = time.monotonic()
print(len(load_dataset([sys.argv[1]], TrainConfig()).train), time.monotonic() - began)
"""


@LINUX
@pytest.mark.torture
@pytest.mark.parametrize("newlines", [True, False])
def test_a_large_text_is_read_in_little_memory_however_long_its_lines_are(newlines, tmp_path):
    megabytes = 1000
    line = b"The quick brown fox jumps over the lazy dog, says \xc3\xa9mile" + b" \n"[newlines:][:1]
    with (tmp_path / "large.txt").open("wb") as file:
        for _ in range(megabytes):
            file.write((line * (MB // len(line) + 1))[: MB // len(line) * len(line)])
    env = environment(XDG_CACHE_HOME=str(tmp_path / "cache"), OMP_NUM_THREADS="1")
    command = [sys.executable, "-c", READ, str(tmp_path / "large.txt"), str(250 * MB)]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    assert int(done.stdout.split()[0]) > 0.85 * megabytes * MB


TIME = """
import sys, time
from charrnn.config import TrainConfig
from charrnn.dataset import load_dataset
began = time.process_time()
for _ in range(int(sys.argv[2])):
    load_dataset([sys.argv[1]], TrainConfig())
print(time.process_time() - began)
"""


def seconds_of_reading(path, times):
    """Return how long the processor is busy with reading a text so often, without a cache."""
    env = environment(XDG_CACHE_HOME="/dev/null", OMP_NUM_THREADS="1")
    command = [sys.executable, "-c", TIME, str(path), str(times)]
    return float(subprocess.run(command, capture_output=True, env=env, check=True).stdout)


@pytest.mark.torture
@pytest.mark.parametrize("factor", [10, 100])
def test_reading_takes_time_in_proportion_to_the_text(factor, tmp_path):
    """One text that is so much longer takes as long as that many readings of the short one."""
    line = b"The quick brown fox jumps over the lazy dog, says \xc3\xa9mile\n"
    small, large = tmp_path / "small.txt", tmp_path / "large.txt"
    small.write_bytes(line * (2 * MB // len(line)))
    with large.open("wb") as file:
        for _ in range(factor):
            file.write(small.read_bytes())
    assert seconds_of_reading(large, 1) < 1.5 * seconds_of_reading(small, factor)


@pytest.mark.torture
def test_a_save_takes_less_than_a_twentieth_of_the_minute_between_two(tmp_path, monkeypatch):
    """Of a network twice as large as any that is chosen for a text."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "corpus.txt").write_text(TEXT)
    seconds, save = [], Recorder.save_checkpoint

    def timed(*arguments, **options):
        began = time.monotonic()
        report = save(*arguments, **options)
        seconds.append(time.monotonic() - began)
        return report

    monkeypatch.setattr(Recorder, "save_checkpoint", timed)
    sizes = {"hidden_size": 1024, "num_layers": 2, "batch_size": 2, "seq_length": 4}
    plan = {"max_steps": 3, "save_every": 1, "eval_every": 0, "sample_every": 0, "valid_frac": 0.0}
    list(run_training(ask(tmp_path / "corpus.txt", **sizes, **plan)))
    assert len(seconds) == 3
    assert min(seconds) < 0.05 * FIRST_SECONDS["save"]
