"""Two processes that train one network: the same losses as one, exact resume, and lost ranks."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from charrnn.ranks import Ranks, join_ranks

CORPUS = Path(__file__).parents[1] / "corpora" / "lighthouse.txt"
SIZES = "--hidden-size 32 --batch-size 6 --seq-length 12 --precision fp32 --threads 1 --level byte"
EVERY = "--eval-every 100 --log-every 20 --sample-every 0"
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ALONE = [sys.executable]

pytestmark = pytest.mark.slow


def command(start, directory, options):
    return [*start, "-m", "charrnn", "train", str(CORPUS), "-o", str(directory), *options.split()]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def run(start, directory, options):
    """Return the finished process; stderr is text."""
    return subprocess.run(
        command(start, directory, options), capture_output=True, text=True, timeout=120, check=False
    )


def logged(directory, name):
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [line[name] for line in lines if name in line]


def weights_hash(directory):
    return hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest()


def test_two_processes_have_the_losses_of_one_at_the_same_batch(tmp_path):
    options = f"{SIZES} {EVERY} --dropout 0 --max-steps 200"
    assert run(ALONE, tmp_path / "one", options).returncode == 0
    two = run(TORCHRUN, tmp_path / "two", options)
    assert two.returncode == 0, two.stderr
    assert two.stderr.count("best loss") == 1  # rank 0 alone speaks
    assert "terminate called" not in two.stderr
    for name in ("loss", "grad_norm", "valid_loss"):
        one, other = logged(tmp_path / "one", name), logged(tmp_path / "two", name)
        assert len(one) == len(other) > 2
        assert other == pytest.approx(one, abs=1e-4)
    assert logged(tmp_path / "two", "tokens") == logged(tmp_path / "one", "tokens")


def test_two_processes_add_only_the_rows_that_a_sampled_softmax_has(tmp_path):
    # of 256 bytes a sample of 255 has all that occur: what each rank draws makes little difference
    options = f"{SIZES} {EVERY} --softmax-samples 255 --dropout 0 --max-steps 200"
    losses = []
    for name, start in (("one", ALONE), ("two", TORCHRUN)):
        done = run(start, tmp_path / name, options)
        assert done.returncode == 0, done.stderr  # else weights that differ would be told
        losses.append([logged(tmp_path / name, kind) for kind in ("loss", "valid_loss")])
    for one, other in zip(*losses, strict=True):
        assert other == pytest.approx(one, abs=1e-3)


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def processes_of(directory):
    """Return the pids of the ranks that train in `directory`, by rank."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(directory).encode() in arguments:
            ranks = [v[5:] for v in variables if v.startswith(b"RANK=")]
            found |= {int(rank): int(entry.name) for rank in ranks}
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")
def test_a_rank_that_dies_ends_the_run_and_the_resumed_run_is_the_undisturbed_one(tmp_path):
    options = f"{SIZES} {EVERY} --dropout 0.3 --max-steps 240 --save-every 20"
    assert run(TORCHRUN, tmp_path / "whole", options).returncode == 0
    directory = tmp_path / "run"
    process = subprocess.Popen(
        command(TORCHRUN, directory, options), stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: list(directory.glob("checkpoints/step-00000[0-9]*")))
    os.kill(processes_of(directory)[1], signal.SIGKILL)
    _, errors = process.communicate(timeout=90)
    assert process.returncode != 0
    said = [line for line in errors.splitlines() if line.startswith("charrnn: error:")]
    assert len(said) <= 1  # none where torchrun's SIGTERM was faster
    assert all("--resume" in line for line in said)
    assert "charrnn/run.py" not in errors  # tracebacks are torchrun's own
    assert "terminate called" not in errors
    alone = run(ALONE, directory, options + " --resume")
    assert alone.returncode == 2
    assert "trained by 2 processes, not 1" in alone.stderr
    resumed = run(TORCHRUN, directory, options + " --resume")
    assert resumed.returncode == 0, resumed.stderr
    assert weights_hash(directory) == weights_hash(tmp_path / "whole")
    assert logged(directory, "loss") == logged(tmp_path / "whole", "loss")
    finished = run(TORCHRUN, directory, options + " --resume")  # there is nothing left to do
    assert finished.returncode == 0, finished.stderr
    assert weights_hash(directory) == weights_hash(tmp_path / "whole")


def test_standard_input_cannot_be_shared(tmp_path):
    environment = {**os.environ, "WORLD_SIZE": "2", "RANK": "0", "LOCAL_WORLD_SIZE": "2"}
    done = subprocess.run(
        [sys.executable, "-m", "charrnn", "train", "-", "-o", str(tmp_path / "x")],
        capture_output=True, text=True, env=environment, input="abc" * 100, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "several processes" in done.stderr
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(("gpus", "backend"), [(0, "gloo"), (4, "cpu:gloo,cuda:nccl")])
def test_all_ranks_of_a_machine_join_by_the_same_means(gpus, backend, monkeypatch):
    """Only rank 0 knows what device the options and the record ask for."""
    asked = []
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpus > 0)
    fakes = {"init_process_group": lambda name, timeout: asked.append(name)}
    fakes |= {"get_rank": lambda: 3, "get_world_size": lambda: 4}
    fakes["new_group"] = lambda backend, timeout: (backend, timeout.total_seconds())
    for name, fake in fakes.items():
        monkeypatch.setattr(f"torch.distributed.{name}", fake)
    joined = join_ranks()
    assert joined == Ranks(3, 4)
    assert joined.sums == ((backend, 300.0) if gpus else None)
    assert asked == [backend]
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert join_ranks() is None


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_every_stream_belongs_to_one_rank(size):
    streams = [Ranks(rank, size).streams(11) for rank in range(size)]
    assert np.concatenate([np.arange(11)[s] for s in streams]).tolist() == list(range(11))
    assert max(s.stop - s.start for s in streams) - min(s.stop - s.start for s in streams) <= 1
