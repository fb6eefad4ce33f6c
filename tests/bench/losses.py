"""Held-out loss against seconds of training: charrnn and the script by hand, in turn.

charrnn's seconds count its evaluations and samples, those of the script by hand training alone; the
last of charrnn's losses is of the best weights it had, that of the script of its last.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def charrnn_losses(text, seconds, seed, folder, device):
    """Return (seconds, nats per symbol) of each evaluation, the last of the best weights."""
    command = [sys.executable, "-m", "charrnn", "train", str(text), "--json", "--force"]
    command += ["--max-time", f"{seconds:g}s", "--seed", str(seed), "-o", f"{folder}/run"]
    command += ["--device", device]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    events = [json.loads(line) for line in lines.splitlines()]
    return [(e["elapsed_seconds"], e["valid_loss"]) for e in events if e["event"] == "eval"]


def script_losses(kind, text, seconds, seed, device):
    """Return the same of the script by hand; its evaluations take none of its time."""
    command = [sys.executable, str(HERE / "baseline.py"), device, kind, str(text)]
    command += [str(seconds), str(seed)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def bench_loss(text, seconds, repeats, device):
    """Return a curve for each contestant and seed, as they are printed; and then the medians."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        contestants = {
            "charrnn": lambda seed: charrnn_losses(text, seconds, seed, folder, device),
            "by hand, float32": lambda seed: script_losses("plain", text, seconds, seed, device),
            "by hand, tuned": lambda seed: script_losses("tuned", text, seconds, seed, device),
        }
        for seed in range(repeats):
            for name, train in contestants.items():
                curve = train(seed)
                found.append({"who": name, "seed": seed, "curve": curve})
                points = "  ".join(f"{time:.0f} s {loss:.4f}" for time, loss in curve)
                print(f"{name:<18} seed {seed}  {points}", flush=True)
    for name in contestants:
        last = [each["curve"][-1][1] for each in found if each["who"] == name]
        print(f"{name:<18} median {statistics.median(last):.4f} with a budget of {seconds:g} s")
    return found
