"""Speed side by side, alternating, as ratios: charrnn, the script by hand, the machine's limits.

    python tests/bench/bench.py train [--seconds 5] [--repeats 3] [--json FILE]
    python tests/bench/bench.py sample
    python tests/bench/bench.py all

Every rate is a median over the repeats; each repeat runs all contestants one after the other, so
that a busy moment of the machine hits them alike.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))
os.environ.setdefault("GOMP_SPINCOUNT", "200")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import baseline
import limits
import numpy as np
import torch

from charrnn.batches import StreamBatches
from charrnn.config import ModelConfig, SampleConfig, TrainConfig
from charrnn.machine import choose_precision
from charrnn.model import Dropouts, LanguageModel
from charrnn.modeldir import StoredModel
from charrnn.plan import Facts, make_plan
from charrnn.sampler import sample
from charrnn.tokenizer import Tokenizer
from charrnn.trainer import Session, make_optimizer, train_steps

V = 65
SIZES = [(256, 1), (512, 1), (512, 2)]
IDS = np.random.default_rng(0).integers(V, size=1_000_000).astype(np.uint8)


def charrnn_train_rate(hidden_size, num_layers, seconds):
    """Return charrnn's tokens per second in training, with its own defaults."""
    asked = TrainConfig(hidden_size=hidden_size, num_layers=num_layers, max_time=1e6)
    asked = make_plan(asked, Facts(len(IDS), V, "cpu")).config
    config = TrainConfig(**{**vars(asked), "precision": choose_precision("auto", "cpu")})
    sizes = ModelConfig(
        V,
        embedding_size=config.embedding_size,
        hidden_size=hidden_size,
        num_layers=num_layers,
    )
    model = LanguageModel(sizes, Dropouts(hidden=config.dropout))
    model.reset(0)
    batches = StreamBatches(IDS, config.batch_size, config.seq_length, 0)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    generator = torch.Generator()
    model.generator = generator
    session = Session(model, make_optimizer(model, config), scaler, batches, config, generator)
    began, tokens = None, 0
    for report in train_steps(session):
        if report.step == 5:
            began, tokens = time.perf_counter(), report.tokens
        if began is not None and time.perf_counter() - began > seconds:
            return (report.tokens - tokens) / (time.perf_counter() - began)
    raise AssertionError("the budget is endless")


def charrnn_sample_rate(hidden_size, num_layers, seconds, num_samples=1):
    """Return charrnn's tokens per second in sampling, text and all."""
    config = ModelConfig(V, hidden_size=hidden_size, num_layers=num_layers)
    model = LanguageModel(config)
    model.reset(0)
    symbols = tuple(chr(48 + i) for i in range(V))
    weights = model.to_weights()
    stored = StoredModel(
        Path(), config, Tokenizer("char", symbols), weights, SampleConfig(), "", None, 0
    )
    length, rate = 100, 0.0
    while True:  # the first, short runs tell how long the last may be
        began = time.perf_counter()
        options = SampleConfig(length=length)
        for _ in sample(stored, options, seed=1, num_samples=num_samples, keep_text=False):
            pass
        rate = length * num_samples / (time.perf_counter() - began)
        if time.perf_counter() - began > seconds / 2:
            return rate
        length = max(2 * length, int(rate * seconds / num_samples))


def best_threads(measure):
    """Return the higher of the rates with one thread and with all."""
    rates = []
    for threads in {1, len(os.sched_getaffinity(0))}:
        torch.set_num_threads(threads)
        rates.append(measure())
    return max(rates)


def bench_train(seconds, repeats):
    """Yield a row for each size: tokens per second of charrnn, by hand, and of the products."""
    for hidden, layers in SIZES:
        ours, theirs, limit16, limit32 = [], [], [], []
        for _ in range(repeats):
            torch.set_num_threads(len(os.sched_getaffinity(0)))
            ours.append(charrnn_train_rate(hidden, layers, seconds))
            theirs.append(baseline.train_rate(IDS, V, hidden, layers, seconds))
            limit16.append(limits.train_limit(V, hidden, layers, torch.bfloat16))
            limit32.append(limits.train_limit(V, hidden, layers, torch.float32))
        yield row("train", hidden, layers, ours, theirs, bf16_limit=limit16, fp32_limit=limit32)


def bench_sample(seconds, repeats):
    """Yield a row for one stream of each size, and one for 256 streams of the largest."""
    for hidden, layers, num in [(256, 1, 1), (512, 2, 1), (512, 2, 256)]:
        ours, theirs, limit = [], [], []
        for _ in range(repeats):
            ours.append(charrnn_sample_rate(hidden, layers, seconds, num))
            arguments = (V, hidden, layers, seconds / 2, num)
            theirs.append(best_threads(lambda a=arguments: baseline.sample_rate(*a)))
            per_step = layers / limits.vector_product_rate(2 * hidden, 4 * hidden)
            limit.append(1 / per_step)
        more = {"product_limit": limit} if num == 1 else {}
        yield row(f"sample {num}", hidden, layers, ours, theirs, **more)


def row(what, hidden, layers, ours, theirs, **limit):
    """Return one line of the result: medians, and the ratio run by run."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    found = {
        "what": what,
        "size": f"{layers} x {hidden}",
        "charrnn_tokens_per_second": statistics.median(ours),
        "by_hand_tokens_per_second": statistics.median(theirs),
        "ratio": statistics.median(ratios),
        "ratio_lowest": min(ratios),
        "ratio_highest": max(ratios),
    }
    for name, values in limit.items():
        share = [a / b for a, b in zip(ours, values, strict=True)]
        found[f"share_of_{name}"] = statistics.median(share)
    return found


def show(found):
    """Print one line of the result."""
    shares = [f"{v:.0%} of the {k[9:].replace('_', ' ')}" for k, v in found.items() if "share" in k]
    print(
        f"{found['what']:<11} {found['size']:<8} {found['charrnn_tokens_per_second']:>10,.0f} /s  "
        f"by hand {found['by_hand_tokens_per_second']:>9,.0f} /s  x {found['ratio']:.2f} "
        f"({found['ratio_lowest']:.2f} to {found['ratio_highest']:.2f})  {', '.join(shares)}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["train", "sample", "all"])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, {platform.machine()}, torch {torch.__version__}", file=sys.stderr)
    results = []
    for name, bench in (("train", bench_train), ("sample", bench_sample)):
        if options.what in (name, "all"):
            for found in bench(options.seconds, options.repeats):
                show(found)
                results.append(found)
    if options.json:
        options.json.write_text(json.dumps({"cores": cores, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
