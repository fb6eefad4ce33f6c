"""Speed side by side, alternating, as ratios: charrnn, the script by hand, the machine's limits.

    python tests/bench/bench.py [train] [busy] [sample] [start] [encode] [--seconds 4]
                                [--repeats 3] [--json FILE] [--readme README.md]
    python tests/bench/bench.py --device cuda [train] [sample] [--seconds 4] ..
    python tests/bench/bench.py loss TEXT [--seconds 60] [--repeats 3] [--json FILE] ..

Every rate is a median over the repeats; each repeat runs all contestants one after the other, each
in a process of its own (contestants.py), so that a busy moment of the machine hits them alike.
`start` times whole short commands, `encode` the first reading of texts of 10 MB to 1 GB.
`--readme` puts the table of the others between the two marks of that file. `loss` trains charrnn
and the script by hand, plain and tuned, on a text for as many seconds, a seed for each repeat, and
gives the held-out loss of each against the seconds.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from losses import bench_loss
from untrained import WORDS
from whole import bench_encode, bench_start

HERE = Path(__file__).resolve().parent
MARKS = ("<!-- bench -->\n", "<!-- /bench -->\n")
TRAINED = [(256, 1), (512, 1), (512, 2)]
SAMPLED = [(256, 1, 1), (512, 2, 1), (512, 2, 256)]
BATCH_LIMITS = ("batch_limit", "bf16_batch_limit", "int8_batch_limit")
STREAMED = [(512, 2), (1024, 1)]
TRAINERS = ("hand_train", "tuned_train")
TRAINED_ON_GPU = [(512, 1), (512, 2), (1024, 3)]
SAMPLED_ON_GPU = [(512, 2, 1), (512, 2, 256), (1024, 3, 256)]
DEVICE = "cpu"


def measure(contestant, *numbers):
    """Return what a contestant measures, in a new process."""
    command = [sys.executable, str(HERE / "contestants.py"), DEVICE, contestant]
    command += map(str, numbers)
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def bench_train(seconds, repeats):
    """Yield a row for each size: tokens per second of charrnn, by hand, and of the products."""
    others = ("adamw_train", *TRAINERS, "bf16_limit", "fp32_limit")
    if DEVICE != "cpu":
        others = (*TRAINERS, "chip_limit")  # AdamW is its choice
    for hidden, layers in TRAINED if DEVICE == "cpu" else TRAINED_ON_GPU:
        name = f"train {layers} x {hidden}"
        yield contest(name, "charrnn_train", others, repeats, hidden, layers, seconds)
    name, others = f"train 1 x 512, {WORDS:,} words", ("hand_words_train", "tuned_words_train")
    yield contest(name, "words_train", others, repeats, 512, 1, seconds)


def bench_sample(seconds, repeats):
    """Yield a row for one stream of each size, as it starts and goes on, and one for 256."""
    if DEVICE != "cpu":
        yield from bench_gpu_sample(seconds, repeats)
        return
    for hidden, layers, num in SAMPLED:
        limits = ("product_limit", "memory_limit") if num == 1 else BATCH_LIMITS
        others = ("hand_sample", *limits)
        name = f"sample {num} at a time, {layers} x {hidden}"
        yield contest(name, "charrnn_sample", others, repeats, hidden, layers, float(seconds), num)
    for hidden, layers in STREAMED:
        others = ("charrnn_sample", "hand_sample", "product_limit", "half_limit", "memory_limit")
        name = f"sample on and on, {layers} x {hidden}"
        yield contest(name, "charrnn_stream", others, repeats, hidden, layers, float(seconds))


def bench_gpu_sample(seconds, repeats):
    """Yield a row for one stream and for 256 on a GPU."""
    for hidden, layers, num in SAMPLED_ON_GPU:
        name = f"sample {num} at a time, {layers} x {hidden}"
        others = ("hand_sample", "chip_limit")
        yield contest(name, "charrnn_sample", others, repeats, hidden, layers, float(seconds), num)


def contest(what, ours, others, repeats, *numbers):
    """Return a row: the median rates, and the ratios repeat by repeat."""
    rates = {name: [] for name in (ours, *others)}
    for _ in range(repeats):
        for name, found in rates.items():
            found.append(measure(name, *numbers))
    return row(what, rates)


def bench_busy(seconds, repeats):
    """Yield rows of training while one other process spins, beside the same without it."""
    for hidden, layers in TRAINED[:2]:
        rates = {"beside a spinning process": [], "alone": []}
        for _ in range(repeats):
            rates["alone"].append(measure("charrnn_train", hidden, layers, seconds))
            with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as neighbour:
                time.sleep(0.2)
                busy = measure("charrnn_train", hidden, layers, seconds)
                rates["beside a spinning process"].append(busy)
                neighbour.kill()
        yield row(f"train {layers} x {hidden}, a core busy", rates)


def row(what, rates):
    """Return one line of the result; the first of `rates` is ours, the ratios are to the others."""
    (_, mine), *others = rates.items()
    found = {"what": what, "tokens_per_second": statistics.median(mine), "rates": rates}
    found["ratios"] = {}
    for name, theirs in others:
        ratios = sorted(a / b for a, b in zip(mine, theirs, strict=True))
        found["ratios"][name] = {
            "rate": statistics.median(theirs),
            "median": statistics.median(ratios),
            "lowest": ratios[0],
            "highest": ratios[-1],
        }
    print(f"{what:<32} {found['tokens_per_second']:>10,.0f} /s", end="", flush=True)
    for name, ratio in found["ratios"].items():
        spread = f"{ratio['lowest']:.2f} to {ratio['highest']:.2f}"
        print(f"   {ratio['median']:.2f} ({spread}) x {name} {ratio['rate']:,.0f}", end="")
    print(flush=True)
    return found


def table(results, machine):
    """Return the results as the lines of a Markdown table."""
    lines = [f"{machine}; medians, in brackets the range of the ratio.", ""]
    lines += ["| what | charrnn, tokens/s | beside |", "|---|---|---|"]
    for found in results:
        beside = [
            f"{r['median']:.2f} ({r['lowest']:.2f} to {r['highest']:.2f}) x {LABELS.get(n, n)}"
            for n, r in found["ratios"].items()
            if n != "fp32_limit"
        ]
        rounded = float(f"{found['tokens_per_second']:.3g}")
        lines.append(f"| {found['what']} | {rounded:,.0f} | {'; '.join(beside)} |")
    return "\n".join(lines) + "\n"


LABELS = {
    "adamw_train": "itself with `--optimizer adamw`",
    "hand_train": "nn.LSTM by hand, float32",
    "tuned_train": "nn.LSTM by hand, bfloat16, fused AdamW and dropout",
    "bf16_limit": "the bfloat16 products alone",
    "charrnn_sample": "its first seconds",
    "chip_limit": "the fastest float16 products alone",
    "hand_words_train": "nn.LSTM by hand, float32, embedding of 128, softmax over all words",
    "tuned_words_train": "the same in bfloat16, fused AdamW and dropout",
    "hand_sample": "stepping nn.LSTM",
    "product_limit": "the matrix products alone (float32)",
    "memory_limit": "reading the weights (float32) from memory",
    "batch_limit": "the matrix products alone (float32)",
    "bf16_batch_limit": "the matrix products alone (bfloat16)",
    "int8_batch_limit": "the matrix products alone (8 bits)",
    "half_limit": "the matrix products alone (float16)",
}


def put_into(readme, text):
    """Replace what stands between the two marks of a file."""
    before, rest = readme.read_text(encoding="utf-8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    readme.write_text(before + MARKS[0] + text + MARKS[1] + after, encoding="utf-8")


def main():
    global DEVICE
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", nargs="*", default=[])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--readme", type=Path)
    options = parser.parse_args()
    DEVICE = options.device
    usual = ["train", "sample"] if DEVICE == "cuda" else ["train", "busy", "sample"]
    options.what = options.what or usual
    is_wrong = options.what[0] != "loss" and not {*options.what} <= {*usual}
    if DEVICE == "cuda" and (options.readme or is_wrong):
        parser.error("on a GPU there are train, sample and loss, and no table in README.md")
    rates = {"train": bench_train, "busy": bench_busy, "sample": bench_sample}
    processes = {"start": bench_start, "encode": bench_encode}
    import torch

    place = DEVICE if DEVICE != "cpu" else f"{torch.get_num_threads()} cores"
    machine = f"{place}, {platform.machine()}, torch {torch.__version__}"
    results, others, curves = [], [], []
    if options.what[0] == "loss":
        curves = bench_loss(options.what[1], options.seconds or 60.0, options.repeats, DEVICE)
        options.what = []
    for name in options.what:
        if name in rates:
            results += rates[name](options.seconds or 4.0, options.repeats)
        else:
            with tempfile.TemporaryDirectory() as folder:
                others += processes[name](folder, options.repeats)
    if options.json:
        saved = {"machine": machine, "results": results, "processes": others, "losses": curves}
        options.json.write_text(json.dumps(saved) + "\n")
    if options.readme and results:
        put_into(options.readme, table(results, machine))


if __name__ == "__main__":
    main()
