"""Products with float16 weights are those of the rounded weights, tried first, and say nothing."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from charrnn import fbgemm

needs_it = pytest.mark.skipif(not fbgemm.is_possible(), reason="torch has no FBGEMM here")


@pytest.fixture
def untried():
    fbgemm.is_possible.cache_clear()
    yield
    fbgemm.is_possible.cache_clear()


@needs_it
@pytest.mark.parametrize(("depth", "width"), [(1, 1), (37, 50), (512, 129)])
def test_the_weights_are_rounded_and_nothing_else(depth, width):
    random = np.random.default_rng(3)
    rows = random.standard_normal((1, depth), np.float32)
    matrix = random.standard_normal((depth, width), np.float32)
    found = fbgemm.product(torch.from_numpy(rows), fbgemm.lay_out(matrix))
    assert found.dtype == torch.float32
    wanted = rows.astype(float) @ matrix.astype(np.float16).astype(float)
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["lay_out", "product"])
@pytest.mark.parametrize("error", [RuntimeError, AttributeError, TypeError])
def test_a_torch_without_the_operators_is_found_out(untried, monkeypatch, name, error):
    def refuse(*arguments):
        raise error("not here")

    monkeypatch.setattr(fbgemm, name, refuse)
    assert not fbgemm.is_possible()


def test_another_result_is_found_out(untried, monkeypatch):
    monkeypatch.setattr(fbgemm, "lay_out", lambda matrix: torch.from_numpy(matrix))
    monkeypatch.setattr(fbgemm, "product", lambda rows, laid: 2 * rows @ laid)
    assert not fbgemm.is_possible()


def run(code):
    """Return what Python prints, warnings being errors."""
    command = [sys.executable, "-W", "error", "-c", "from charrnn.fbgemm import *\n" + code]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return done.stdout + done.stderr


@needs_it
def test_trying_says_nothing():
    assert run("assert is_possible()\nlay_out(np.ones((3, 2), np.float32))") == ""


@needs_it
@pytest.mark.skipif(sys.platform != "linux", reason="counts the threads in /proc")
def test_products_stay_on_the_calling_thread():
    assert (
        run("""
import os
is_possible()
torch.set_num_threads(2)
laid = lay_out(np.ones((4, 40_000), np.float32))
before = len(os.listdir("/proc/self/task"))
product(torch.ones(1, 4), laid)
print(len(os.listdir("/proc/self/task")) - before)
""")
        == "0\n"
    )
