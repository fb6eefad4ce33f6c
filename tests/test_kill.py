"""Runs that are killed: by SIGKILL at random moments, by SIGINT and SIGTERM at the command line.

The children are forked from a server that has imported torch already, so that a kill costs little.
"""

import hashlib
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from charrnn.config import TrainConfig
from charrnn.request import RunRequest
from charrnn.run import run_training

TEXT = "".join(f"{i} plus {i % 11} is {i + i % 11}; and so on,\n" for i in range(600))  # 20 kB
STEPS = 40
OPTIONS = {
    "hidden_size": 64,
    "dropout": 0.3,
    "max_steps": STEPS,
    "save_every": 5,
    "eval_every": 8,
    "sample_every": 16,
    "batch_size": 8,
    "seq_length": 32,
    "threads": 1,
}


def train_in_child(corpus, output, resume):
    config = TrainConfig(**OPTIONS)
    request = RunRequest((corpus,), Path(output), config, resume=resume, given=frozenset(OPTIONS))
    for _ in run_training(request):
        pass


@pytest.fixture(scope="module")
def server():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["charrnn.loop", "test_kill"])
    return context


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kill")
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    path = folder / "corpus.txt"
    path.write_text(TEXT)
    yield path
    del os.environ["XDG_CACHE_HOME"]


def start(server, corpus, output, resume):
    process = server.Process(target=train_in_child, args=(str(corpus), str(output), resume))
    process.start()
    return process


def weights_hash(directory):
    return hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest()


def lines_without_times(directory):
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    drop = ("elapsed_seconds", "tokens_per_second")
    return [{k: v for k, v in line.items() if k not in drop} for line in lines]


@pytest.fixture(scope="module")
def whole(server, corpus):
    """The run that nobody disturbed, and how long it took."""
    directory = corpus.parent / "whole"
    start(server, corpus, corpus.parent / "warm", resume=False).join()
    began = time.monotonic()
    process = start(server, corpus, directory, resume=False)
    process.join()
    assert process.exitcode == 0
    return directory, time.monotonic() - began


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_a_run_killed_at_a_random_moment_and_resumed_is_the_undisturbed_one(
    server, corpus, whole, seed
):
    expected, seconds = whole
    output = corpus.parent / f"killed-{seed}"
    rng = random.Random(seed)
    for resume in (False, True, True) if seed % 4 == 0 else (False,):
        process = start(server, corpus, output, resume)
        process.join(timeout=rng.uniform(0.02, 1.1 * seconds))
        process.kill()
        process.join()
    process = start(server, corpus, output, resume=True)
    process.join()
    assert process.exitcode == 0
    assert weights_hash(output) == weights_hash(expected)
    assert lines_without_times(output) == lines_without_times(expected)
    names = {path.name for path in output.rglob("*")}
    assert not [name for name in names if name.endswith(".tmp")]


def charrnn(*arguments, **options):
    command = [sys.executable, "-m", "charrnn", *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, **options)


def flags():
    pairs = [(f"--{name.replace('_', '-')}", value) for name, value in OPTIONS.items()]
    return [part for pair in pairs for part in pair]


def steps_of_signals():
    """A step for the suite; 19 more for the long part, those of saves and evaluations too."""
    yield pytest.param(7, marks=pytest.mark.slow)
    for step in (*range(1, 7), 8, *range(10, 20), 24, 32):
        yield pytest.param(step, marks=pytest.mark.torture)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [*steps_of_signals()])
def test_a_signal_saves_says_how_to_resume_and_kills(corpus, whole, step, number):
    expected, _ = whole
    output = corpus.parent / f"signal-{step}-{int(number)}"
    process = charrnn("train", corpus, "-o", output, *flags(), "--log-every", 1)
    for line in process.stderr:
        if line.startswith(f"step {step} "):
            process.send_signal(number)
            break
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -number
    assert f"charrnn train --resume -o {output}" in errors
    steps = [int(p.name[5:13]) for p in (output / "checkpoints").iterdir()]
    assert max(steps) >= step
    again = charrnn("train", "--resume", "-o", output)
    again.communicate(timeout=60)
    assert again.returncode == 0
    assert weights_hash(output) == weights_hash(expected)
