"""What the machine itself allows: matrix products of the network's shapes, and memory bandwidth."""

import time

import numpy as np
import torch


def product_rate(rows, inner, columns, dtype, device="cpu", seconds=0.3):
    """Return operations per second of (rows, inner) @ (inner, columns), one after the other.

    A GPU is waited for once, at the end.
    """
    multiply = make_product(rows, inner, columns, dtype, device)
    for _ in range(3):
        multiply()
    wait_for(device)
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        multiply()
        count += 1
    wait_for(device)
    return 2 * rows * inner * columns * count / (time.perf_counter() - began)


def wait_for(device):
    """Wait until a GPU has done all that was begun."""
    if device != "cpu":
        torch.cuda.synchronize(device)


def make_product(rows, inner, columns, dtype, device):
    """Return a call that multiplies; in 8 bits with weights laid out, else as torch does."""
    if dtype == torch.int8:
        from charrnn import int8

        assert int8.is_possible()
        laid = int8.lay_out(np.ones((inner, columns), np.float32), 1e-3, rows)
        integers, bias = torch.ones(rows, inner, dtype=torch.uint8), torch.zeros(columns)
        return lambda: int8.product(integers, 1e-3, laid, bias)
    a = torch.randn(rows, inner, device=device).to(dtype)
    b = torch.randn(inner, columns, device=device).to(dtype)
    return lambda: a @ b


def train_limit(vocab_size, hidden_size, num_layers, dtype, batch_size=32, seq_length=64):
    """Return tokens per second if a training step were its matrix products alone.

    The recurrent product is made once a token forward and once backward, at the batch's few rows;
    the input, output and weight-gradient products for the whole window at once.
    """
    size, embedding = hidden_size, min(hidden_size, 128)
    rows = batch_size * seq_length
    small = product_rate(batch_size, size, 4 * size, dtype)
    seconds = 0.0
    for layer in range(num_layers):
        inputs = size if layer else embedding
        large = product_rate(rows, inputs, 4 * size, dtype)
        seconds += 2 * 2 * 4 * size * size / small  # forward and backward, a token
        seconds += (3 * 2 * 4 * size * inputs + 2 * 4 * size * size) / large
    return 1 / (seconds + 3 * 2 * size * vocab_size / product_rate(rows, size, vocab_size, dtype))


def batch_limit(vocab_size, hidden_size, num_layers, dtype, batch_size):
    """Return tokens per second if a step of `batch_size` streams were its matrix products alone."""
    seconds, size = 0.0, hidden_size
    above = [(2 * size, 4 * size)] * (num_layers - 1)
    for inner, columns in [(size, 4 * size), *above, (size, vocab_size)]:
        rate = product_rate(batch_size, inner, columns, dtype)
        seconds += 2 * batch_size * inner * columns / rate
    return batch_size / seconds


def read_bandwidth(num_bytes=1 << 28, repeats=5):
    """Return bytes per second of reading memory that no cache holds, on one core."""
    data = np.ones(num_bytes // 8)
    best = min(_timed(data.sum) for _ in range(repeats))
    return num_bytes / best


def vector_product_rate(size, columns, seconds=0.3):
    """Return vector-matrix products per second, float32, NumPy: what one step cannot do without."""
    vector = np.ones(size, np.float32)
    matrix = np.ones((size, columns), np.float32)
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        vector @ matrix
        count += 1
    return count / (time.perf_counter() - began)


def half_product_rate(size, columns, seconds=0.3):
    """Return vector-matrix products per second with float16 weights."""
    from charrnn import fbgemm

    fbgemm.is_possible()
    vector, laid = torch.ones(1, size), fbgemm.lay_out(np.ones((size, columns), np.float32))
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        fbgemm.product(vector, laid)
        count += 1
    return count / (time.perf_counter() - began)


def _timed(call):
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
