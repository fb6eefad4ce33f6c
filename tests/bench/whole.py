"""Whole processes: how long a command takes until it is over, and what reading a text costs."""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "corpora" / "lighthouse.txt"
SIZES = (10_000_000, 100_000_000, 1_000_000_000)  # bytes of the texts that are encoded
ENCODE = """
import resource, sys, time
from charrnn.config import TrainConfig
from charrnn.dataset import load_dataset
began = time.perf_counter()
load_dataset([sys.argv[1]], TrainConfig())
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def run(*command, env=None):
    """Return the wall seconds of a command and its standard output."""
    began = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return time.perf_counter() - began, done.stdout


def bench_start(folder, repeats):
    """Print and return the seconds of short commands, beside importing torch."""
    python = (sys.executable, "-m", "charrnn")
    model = Path(folder) / "model"
    run(*python, "train", str(SOURCE), "-o", str(model), "--hidden-size", "256", "--max-steps", "2")
    commands = {
        "charrnn --help": (*python, "--help"),
        "charrnn sample -l 100": (*python, "sample", "-m", str(model), "-l", "100"),
        "import torch": (sys.executable, "-c", "import torch"),
    }
    rows = []
    for name, command in commands.items():
        seconds = [run(*command)[0] for _ in range(max(5, repeats))]
        rows.append({"what": name, "seconds": statistics.median(seconds), "all": seconds})
        print(f"{name:<32} {rows[-1]['seconds']:>10.3f} s", flush=True)
    return rows


def bench_encode(folder, repeats):
    """Print and return how fast a text is read for the first time, and the largest memory."""
    text, rows = SOURCE.read_bytes(), []
    env = {**os.environ, "XDG_CACHE_HOME": "/dev/null/none"}  # nothing is kept
    for size in SIZES:
        path = Path(folder) / f"{size}.txt"
        with path.open("wb") as file:
            for _ in range(size // len(text)):
                file.write(text)
        found = [run(sys.executable, "-c", ENCODE, str(path), env=env)[1] for _ in range(repeats)]
        seconds = statistics.median(float(out.split()[0]) for out in found)
        memory = max(int(out.split()[1]) for out in found) * 1024
        rate = path.stat().st_size / seconds
        path.unlink()
        rows.append({"what": f"encode {size:,} bytes", "bytes_per_second": rate, "memory": memory})
        print(f"{rows[-1]['what']:<32} {rate / 1e6:>10.0f} MB/s, {memory / 1e6:.0f} MB of memory")
    return rows
