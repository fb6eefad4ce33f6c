"""One long stream: half-size weights go on where NumPy stopped, or NumPy does."""

import subprocess
import sys
from collections import Counter

import pytest
from drawn import NAMES, STREAM, draw_all, make_model, plain_draw

import charrnn
from charrnn import fbgemm, halfsize, packing, sampler, torch_backend
from charrnn.stepper import NumpyBackend, Stepper

needs_it = pytest.mark.skipif(not fbgemm.is_possible(), reason="torch has no FBGEMM here")
BEFORE = 10  # tokens that NumPy reads
first_tokens = halfsize.num_first


@pytest.fixture(autouse=True)
def num_read(monkeypatch):
    """Call any network large, and ten tokens long; return how many each kind of backend read."""
    read = Counter()
    advance = Stepper.advance

    def count(self, tokens):
        read[type(self.backend).__name__] += 1
        advance(self, tokens)

    monkeypatch.setattr(Stepper, "advance", count)
    monkeypatch.setattr(halfsize, "LARGE", 0)
    monkeypatch.setattr(halfsize, "X86", (halfsize.platform.machine(),))
    monkeypatch.setattr(halfsize, "num_first", lambda num_read: BEFORE)
    return read


@pytest.fixture
def plain_products(monkeypatch):
    monkeypatch.setattr(fbgemm, "is_possible", lambda: True)
    monkeypatch.setattr(torch_backend.Float16Backend, "product", NumpyBackend.product)


@pytest.mark.usefixtures("plain_products")
@pytest.mark.parametrize("cell", ["lstm", "peephole", "gru", "rnn"])
def test_half_size_weights_go_on_where_numpy_stopped(cell, num_read):
    model = make_model(STREAM, cell)
    (done,) = draw_all(model, prompt="ab")
    wanted, logprob = plain_draw(model, STREAM.encode("ab"), 30)
    assert done.text == STREAM.decode(wanted)
    assert done.logprob == pytest.approx(logprob, abs=1e-4)
    assert num_read == {"NumpyBackend": 2 + BEFORE, "Float16Backend": 30 - 1 - BEFORE}


@needs_it
@pytest.mark.parametrize("is_table", [True, False])
@pytest.mark.parametrize("tokenizer", [STREAM, NAMES])
@pytest.mark.parametrize("cell", ["lstm", "peephole", "gru", "rnn"])
def test_they_draw_what_all_the_bits_draw(cell, tokenizer, is_table, num_read, monkeypatch):
    monkeypatch.setattr(packing, "TABLE_MAX", 1 << 22 if is_table else 0)
    model = make_model(tokenizer, cell, scale=0.2)
    (done,) = draw_all(model, length=200, min_length=100, stops=["abcdefg"])
    monkeypatch.setattr(halfsize, "LARGE", 10_000)
    (wanted,) = draw_all(model, length=200, min_length=100, stops=["abcdefg"])
    assert done.tokens > 50
    assert done.text == wanted.text
    assert done.finish_reason == wanted.finish_reason
    assert done.logprob == pytest.approx(wanted.logprob, abs=0.02)
    assert done.logprob != wanted.logprob
    assert num_read["Float16Backend"] == done.tokens - 1 - BEFORE


@needs_it
def test_a_longer_sample_begins_with_the_shorter(num_read):
    model = make_model(STREAM)
    texts = [draw_all(model, length=length)[0].text for length in (BEFORE, BEFORE + 1, 60)]
    assert texts[1].startswith(texts[0])
    assert texts[2].startswith(texts[1])


def test_a_sample_that_ends_before_never_sees_them(num_read, monkeypatch):
    monkeypatch.setattr(halfsize, "_half_size", pytest.fail)
    assert draw_all(make_model(STREAM), length=BEFORE)[0].tokens == BEFORE
    assert num_read == {"NumpyBackend": 1 + BEFORE - 1}


@pytest.mark.parametrize(
    "change",
    [
        (halfsize, "LARGE", 10_000),
        (halfsize, "X86", ()),
        (packing.PackedWeights, "fits_float16", False),
    ],
    ids=lambda change: change[1],
)
def test_where_they_do_not_pay_or_cannot_be_torch_is_not_asked_for(change, num_read, monkeypatch):
    monkeypatch.setattr(*change)
    monkeypatch.setattr(halfsize, "_half_size", pytest.fail)
    check_plain(num_read)


def test_another_backend_keeps_its_stream(num_read, monkeypatch):
    other = torch_backend.TorchBackend("cpu")
    monkeypatch.setattr(sampler, "choose_backends", lambda *asked: (other, other))
    monkeypatch.setattr(halfsize, "_half_size", pytest.fail)
    check_plain(num_read, "TorchBackend")


@pytest.mark.parametrize("error", halfsize.NOT_HERE)
def test_a_stream_does_not_end_because_torch_cannot_be_had(error, num_read, monkeypatch):
    def refuse(*arguments):
        raise error("not now")

    monkeypatch.setattr(fbgemm, "is_possible", lambda: True)
    monkeypatch.setattr(fbgemm, "lay_out", refuse)
    check_plain(num_read)


def test_a_torch_without_the_operators_is_not_used(num_read, monkeypatch):
    monkeypatch.setattr(fbgemm, "is_possible", lambda: False)
    check_plain(num_read)


def test_a_torch_that_cannot_be_imported_is_not_used(num_read, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "charrnn.fbgemm", None)
    monkeypatch.delattr(charrnn, "fbgemm")
    check_plain(num_read)


def test_a_long_stream_is_one_of_some_seconds():
    assert first_tokens(3_200_000) == 20_000  # 2 x 512: 5,000 a second
    assert first_tokens(20_000_000) == 1200  # 300 a second


def check_plain(num_read, backend="NumpyBackend"):
    """Check that a sample is what a slow loop draws, and that one backend read all of it."""
    model = make_model(STREAM)
    (done,) = draw_all(model, prompt="ab")
    wanted, _ = plain_draw(model, STREAM.encode("ab"), 30)
    assert done.text == STREAM.decode(wanted)
    assert num_read == {backend: 2 + 29}


IN_A_PROCESS = """
import os, signal, sys, threading
import numpy as np
from charrnn import halfsize
from charrnn.config import ModelConfig
from charrnn.modeldir import weight_shapes
from charrnn.packing import pack
from charrnn.stepper import Stepper

config = ModelConfig(9, hidden_size=2048, num_layers=1, embedding_size=8)
shapes = weight_shapes(config)
stepper = Stepper(pack(config, {name: np.ones(s, np.float32) for name, s in shapes.items()}))
"""


def run_in_a_process(code):
    command = [sys.executable, "-c", IN_A_PROCESS + code]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@needs_it
def test_ctrl_c_amid_the_import_leaves_a_torch_that_can_be_used():
    done = run_in_a_process("""
timer = threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT])
timer.start()
try:
    halfsize._half_size(stepper)
except KeyboardInterrupt:
    print("interrupted", "charrnn.torch_backend" in sys.modules)
print(halfsize._half_size(stepper) is not None)
""")
    assert (done.stdout, done.stderr) == ("interrupted False\nTrue\n", "")


@needs_it
@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_AS")
@pytest.mark.parametrize("left", [0, 40, 100])
def test_memory_that_runs_out_leaves_the_stream_to_numpy(left):
    done = run_in_a_process(f"""
import resource
from charrnn import fbgemm, torch_backend
assert fbgemm.is_possible()
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + {left} * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
print(halfsize._half_size(stepper))
""")
    assert (done.returncode, done.stdout, done.stderr) == (0, "None\n", "")
