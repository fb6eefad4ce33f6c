"""One measurement in a process of its own, with the environment its user would have.

    python contestants.py DEVICE NAME HIDDEN_SIZE NUM_LAYERS SECONDS [NUM_SAMPLES]

Prints one number. bench.py starts it. What NumPy does alone stays on the CPU.
"""

import sys
import time

from untrained import WORDS, V, ids, stored_model, tokenizer

DEVICE = "cpu"


def charrnn_train(hidden_size, num_layers, seconds, optimizer="auto", vocab_size=V):
    """Return charrnn's tokens per second in training, with its defaults; nothing is held out."""
    from charrnn.cli.threads import prepare_torch

    prepare_torch()

    from charrnn.config import TrainConfig
    from charrnn.dataset import Dataset
    from charrnn.session import build_session, make_setup
    from charrnn.steps import train_steps

    sizes = {"hidden_size": hidden_size, "num_layers": num_layers}
    config = TrainConfig(**sizes, max_time=1e6, device=DEVICE, optimizer=optimizer)
    dataset = Dataset(tokenizer(vocab_size), ids(vocab_size), ids()[:0], 0, (), (), ())
    session = build_session(make_setup(config, dataset, None))
    began, tokens = None, 0
    for report in train_steps(session, lambda: True):
        if report.step == session.step and report.step >= 5 and began is None:
            began, tokens = time.perf_counter(), session.tokens
        elif began is not None and time.perf_counter() - began > seconds:
            return (session.tokens - tokens) / (time.perf_counter() - began)
    raise AssertionError("the budget is endless")


def words_train(hidden_size, num_layers, seconds):
    """Return charrnn's tokens per second in training with a vocabulary of words."""
    return charrnn_train(hidden_size, num_layers, seconds, vocab_size=WORDS)


def adamw_train(hidden_size, num_layers, seconds):
    """Return charrnn's tokens per second in training with AdamW alone."""
    return charrnn_train(hidden_size, num_layers, seconds, "adamw")


def hand_train(hidden_size, num_layers, seconds, vocab_size=V, tuned=False):
    """Return the tokens per second of the script by hand, in float32 or `tuned`."""
    import baseline

    sizes = vocab_size, hidden_size, num_layers
    return baseline.train_rate(ids(vocab_size), *sizes, seconds, tuned, DEVICE)


def tuned_train(hidden_size, num_layers, seconds):
    """Return the rate of the script by hand by somebody who knows: bfloat16, fused AdamW."""
    return hand_train(hidden_size, num_layers, seconds, tuned=True)


def hand_words_train(hidden_size, num_layers, seconds):
    """Return the tokens per second of the script by hand with a vocabulary of words."""
    return hand_train(hidden_size, num_layers, seconds, WORDS)


def tuned_words_train(hidden_size, num_layers, seconds):
    """Return the same by somebody who knows."""
    return hand_train(hidden_size, num_layers, seconds, WORDS, tuned=True)


def charrnn_sample(hidden_size, num_layers, seconds, num_samples=1):
    """Return charrnn's tokens per second in sampling, text and all; of one stream, at its start."""
    from charrnn.cli.threads import prepare_sampling

    prepare_sampling()
    from charrnn.config import SampleConfig
    from charrnn.halfsize import LARGE, num_first
    from charrnn.sampler import sample

    stored = stored_model(hidden_size, num_layers)
    if DEVICE != "cpu":
        list(sample(stored, SampleConfig(length=100), num_samples=num_samples, device=DEVICE))
    length, rate = 100, 0.0
    num_weights = sum(weights.size for weights in stored.weights.values())
    goes_on = num_samples == 1 and num_weights > LARGE and DEVICE == "cpu"
    longest = num_first(num_weights) if goes_on else float("inf")
    while True:  # the first, short runs tell how long the last may be
        began = time.perf_counter()
        options = SampleConfig(length=length)
        asked = {"seed": 1, "num_samples": num_samples, "keep_text": False}
        for _ in sample(stored, options, device=DEVICE, **asked):
            pass
        rate = length * num_samples / (time.perf_counter() - began)
        if time.perf_counter() - began > seconds / 2 or length > longest / 2:
            return rate
        length = int(min(longest, max(2 * length, rate * seconds / num_samples)))


def charrnn_stream(hidden_size, num_layers, seconds):
    """Return charrnn's tokens per second of one stream when half-size weights have taken over."""
    from charrnn.cli.threads import prepare_sampling

    prepare_sampling()
    from charrnn import fbgemm
    from charrnn.config import SampleConfig
    from charrnn.sampler import sample

    assert fbgemm.is_possible()
    stored = stored_model(hidden_size, num_layers)
    stream = sample(stored, SampleConfig(length=0), seed=1, keep_text=False)
    while "charrnn.torch_backend" not in sys.modules:
        next(stream)
    num, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        next(stream)
        num += 1
    return num / (time.perf_counter() - began)


def hand_sample(hidden_size, num_layers, seconds, num_samples=1):
    """Return the rate of stepping nn.LSTM, with the better of one thread and all."""
    import baseline
    import torch

    rates = []
    for threads in {1, torch.get_num_threads()}:
        torch.set_num_threads(threads)
        rate = baseline.sample_rate(V, hidden_size, num_layers, seconds / 2, num_samples, DEVICE)
        rates.append(rate)
    return max(rates)


def bf16_limit(hidden_size, num_layers, seconds):
    """Return tokens per second of training were it its bfloat16 matrix products alone."""
    import limits
    import torch

    return limits.train_limit(V, hidden_size, num_layers, torch.bfloat16)


def fp32_limit(hidden_size, num_layers, seconds):
    """Return tokens per second of training were it its float32 matrix products alone."""
    import limits
    import torch

    return limits.train_limit(V, hidden_size, num_layers, torch.float32)


def chip_limit(hidden_size, num_layers, seconds, num_samples=0):
    """Return tokens per second, trained or drawn, were it the fastest float16 products alone."""
    import limits
    import torch

    operations = (2 if num_samples else 6) * num_multiplied(hidden_size, num_layers)
    return limits.product_rate(8192, 8192, 8192, torch.float16, DEVICE) / operations


def num_multiplied(hidden_size, num_layers):
    """Return how many weights a token is multiplied with, but for those of its own row."""
    return 4 * hidden_size * hidden_size * (2 * num_layers - 1) + hidden_size * V


def product_limit(hidden_size, num_layers, seconds, num_samples=1):
    """Return tokens per second of one stream were it its matrix products alone, in NumPy."""
    from charrnn.cli.threads import prepare_sampling

    prepare_sampling()
    import limits

    return step_limit(limits.vector_product_rate, hidden_size, num_layers)


def memory_limit(hidden_size, num_layers, seconds, num_samples=1):
    """Return tokens per second of one stream were it reading its float32 weights from memory."""
    import limits

    return limits.read_bandwidth() / (4 * num_multiplied(hidden_size, num_layers))


def half_limit(hidden_size, num_layers, seconds):
    """Return tokens per second of one stream were it its products with float16 weights alone."""
    from charrnn.cli.threads import prepare_sampling

    prepare_sampling()
    import limits

    return step_limit(limits.half_product_rate, hidden_size, num_layers)


def batch_limit(hidden_size, num_layers, seconds, num_samples):
    """Return tokens per second of many streams were it their float32 matrix products alone."""
    import limits
    import torch

    return limits.batch_limit(V, hidden_size, num_layers, torch.float32, num_samples)


def bf16_batch_limit(hidden_size, num_layers, seconds, num_samples):
    """Return tokens per second of many streams were it their bfloat16 matrix products alone."""
    import limits
    import torch

    return limits.batch_limit(V, hidden_size, num_layers, torch.bfloat16, num_samples)


def int8_batch_limit(hidden_size, num_layers, seconds, num_samples):
    """Return tokens per second of many streams were it their products in 8 bits alone."""
    import limits
    import torch

    return limits.batch_limit(V, hidden_size, num_layers, torch.int8, num_samples)


def step_limit(product_rate, hidden_size, num_layers):
    """Return steps per second of one stream, by the rate of one vector times a matrix."""
    per_step = 1 / product_rate(hidden_size, 4 * hidden_size)
    per_step += (num_layers - 1) / product_rate(2 * hidden_size, 4 * hidden_size)
    return 1 / (per_step + 1 / product_rate(hidden_size, V))


if __name__ == "__main__":
    DEVICE, name = sys.argv[1:3]
    numbers = [float(a) if "." in a else int(a) for a in sys.argv[3:]]
    print(globals()[name](*numbers))
