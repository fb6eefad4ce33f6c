"""Batches in bfloat16 or int8, one stream in float16: steps are near those of float32."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from charrnn import fbgemm, int8, onednn, packing, torch_backend
from charrnn.config import ModelConfig
from charrnn.model import LanguageModel
from charrnn.modeldir import weight_shapes
from charrnn.packing import pack
from charrnn.stepper import NumpyBackend, Stepper
from charrnn.torch_backend import Bfloat16Backend, Float16Backend, Int8Backend, for_batches

CONFIG = ModelConfig(11, embedding_size=6, hidden_size=40, num_layers=2)


def logits_after(backend=None, num_samples=5, length=7):
    model = LanguageModel(CONFIG)
    model.reset(4)
    stepper = Stepper(pack(CONFIG, model.to_weights()), num_samples, backend)
    tokens = np.random.default_rng(1).integers(0, 11, (length, num_samples))
    for column in tokens:
        logits = stepper.step(column)
    return logits[:, :11].copy()


@pytest.mark.parametrize("possible", [True, False])
def test_logits_are_those_of_float32_but_for_rounding(possible, monkeypatch):
    if possible and not onednn.is_possible():
        pytest.skip("this CPU does not multiply bfloat16, or torch lacks oneDNN")
    monkeypatch.setattr(torch_backend.onednn, "is_possible", lambda: possible)
    exact, found = logits_after(), logits_after(Bfloat16Backend())
    assert 0 < np.abs(found - exact).max() < 0.02 * np.abs(exact).max()


@pytest.mark.skipif(not onednn.is_possible(), reason="needs bfloat16 units and oneDNN")
@pytest.mark.parametrize("num_rows", [2, 33, 127, 128])
def test_weights_laid_out_for_a_group_serve_smaller_ones(num_rows):
    rng = np.random.default_rng(num_rows)
    matrix = rng.standard_normal((513, 600), np.float32)
    rows = rng.standard_normal((num_rows, 513), np.float32)
    rows[:, -1] = 1  # which meets the bias
    found = np.empty((num_rows, 600), np.float32)
    Bfloat16Backend().product(rows, matrix, found, None)()
    np.testing.assert_allclose(found, rows @ matrix, atol=0.5)
    assert np.abs(found - rows @ matrix).mean() < 0.1


def random_network(cell="lstm"):
    """Return the weights of a network that is not chaotic, as trained ones are not, packed."""
    config = ModelConfig(
        vocab_size=11, cell_type=cell, embedding_size=6, hidden_size=40, num_layers=2
    )
    random = np.random.default_rng(2)
    shapes = weight_shapes(config)
    return pack(config, {n: random.normal(0, 0.12, s).astype("f4") for n, s in shapes.items()})


def surprisals(packed, backend, tokens):
    """Return -ln p of each of `tokens`, (T,) or (T, B), given those before it but for the first."""
    stepper, nats = Stepper(packed, tokens[0].size, backend), []
    for token, target in pairwise(tokens):
        logits = stepper.step(token)[:, :11].astype(float)
        chosen = np.take_along_axis(logits, np.reshape(target, (-1, 1)), axis=1)
        nats.append(np.log(np.exp(logits - chosen).sum(axis=1)))
    return np.array(nats)


def check_loss(packed, backend, shape, most):
    """Check that `backend` changes the loss by less than 0.001, and no surprisal by `most`."""
    tokens = np.random.default_rng(5).integers(0, 11, shape)
    exact = surprisals(packed, NumpyBackend(), tokens)
    assert exact.mean() > 2
    found = surprisals(packed, backend, tokens)
    assert abs(found.mean() - exact.mean()) < 1e-3
    assert 0 < np.abs(found - exact).max() < most


@pytest.mark.skipif(not fbgemm.is_possible(), reason="torch has no FBGEMM here")
@pytest.mark.parametrize("is_table", [True, False])
@pytest.mark.parametrize("cell", ["lstm", "peephole", "gru", "rnn"])
def test_half_size_weights_change_the_loss_by_less_than_a_thousandth(cell, is_table, monkeypatch):
    monkeypatch.setattr(packing, "TABLE_MAX", 1 << 22 if is_table else 0)
    check_loss(random_network(cell), Float16Backend(), (3000, 1), 0.01)


@pytest.mark.skipif(not int8.is_possible(), reason="needs VNNI, and torch's operators")
@pytest.mark.parametrize("is_table", [True, False])
@pytest.mark.parametrize("cell", ["lstm", "peephole", "gru", "rnn"])
def test_8_bits_change_the_loss_by_less_than_a_thousandth(cell, is_table, monkeypatch):
    monkeypatch.setattr(packing, "TABLE_MAX", 1 << 22 if is_table else 0)
    packed, rest = random_network(cell), Recorder()
    check_loss(packed, Int8Backend(rest), (300, 20), 0.05)
    # the inputs of an entrance have no bound
    assert rest.asked == ([] if is_table else [((7, packed.num_columns), None)])


class Recorder(NumpyBackend):
    """NumPy, which remembers what matrices it was asked for, and what was known of the inputs."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def product(self, inputs, matrix, outputs, bound):
        self.asked.append((matrix.shape, bound))
        return super().product(inputs, matrix, outputs, bound)


@pytest.mark.skipif(not int8.is_possible(), reason="needs VNNI, and torch's operators")
def test_hidden_vectors_are_rounded_to_the_nearest_of_255_numbers():
    random = np.random.default_rng(6)
    matrix = random.normal(0, 0.1, (41, 30)).astype(np.float32)
    nearest = random.integers(-126, 127, (9, 41))
    rows = ((nearest + random.uniform(-0.49, 0.49, (9, 41))) / 63.5).astype(np.float32)
    rows[0] = 2
    rows[1] = -2
    rows[:, -1] = 1  # which meets the bias
    found = np.empty((9, 30), np.float32)
    Int8Backend(NumpyBackend()).product(rows, matrix, found, 2.0)()
    steps = np.abs(matrix[:-1]).max(axis=0) / 127
    rounded = np.round(rows[:, :-1] * 63.5) / 63.5 @ (np.round(matrix[:-1] / steps) * steps)
    np.testing.assert_allclose(found, rounded + matrix[-1], atol=1e-5)


@pytest.mark.skipif(not int8.is_possible(), reason="needs VNNI, and torch's operators")
def test_what_8_bits_cannot_hold_is_left_to_others():
    packed, tokens = random_network(), np.random.default_rng(5).integers(0, 11, (30, 4))
    packed.products[1][3] *= 1000  # all others of a column would be rounded to 0
    rest = Recorder()
    found = surprisals(packed, Int8Backend(rest), tokens)
    assert rest.asked == [(packed.products[1].shape, 2.0)]
    np.testing.assert_allclose(found, surprisals(packed, NumpyBackend(), tokens), 0.05, 0.2)


@pytest.mark.skipif(not int8.is_possible(), reason="needs VNNI, and torch's operators")
@pytest.mark.parametrize("too_much", ["relu", "weights"])
def test_hidden_vectors_without_a_bound_are_left_to_others(too_much):
    packed = random_network("rnn")
    if too_much == "relu":
        packed = replace(packed, config=replace(packed.config, nonlinearity="relu"))
    else:
        packed.table[0, 0] = 1e16
    tokens = np.random.default_rng(5).integers(0, 11, (30, 4))
    rest = Recorder()
    found = surprisals(packed, Int8Backend(rest), tokens)
    assert rest.asked == [(product.shape, None) for product in packed.products]
    assert np.array_equal(found, surprisals(packed, NumpyBackend(), tokens))


@pytest.mark.skipif(not int8.is_possible(), reason="needs VNNI, and torch's operators")
def test_a_sample_in_8_bits_does_not_depend_on_those_beside_it():
    packed, tokens = random_network(), np.random.default_rng(5).integers(0, 11, (50, 40))
    together = surprisals(packed, Int8Backend(NumpyBackend()), tokens)
    apart = surprisals(packed, Int8Backend(NumpyBackend()), tokens[:, 5:8])
    assert np.array_equal(together[:, 5:8], apart)


@pytest.mark.parametrize(
    ("has_int8", "has_bfloat16", "wanted"),
    [
        (True, True, ["Int8Backend", "Bfloat16Backend"]),
        (True, False, ["Int8Backend", "NumpyBackend"]),
        (False, True, ["Bfloat16Backend"]),
        (False, False, ["NumpyBackend"]),
    ],
)
def test_batches_are_stepped_by_what_this_cpu_is_best_at(
    has_int8, has_bfloat16, wanted, monkeypatch
):
    monkeypatch.setattr(int8, "is_possible", lambda: has_int8)
    monkeypatch.setattr(torch_backend, "cpu_multiplies_bf16", lambda: has_bfloat16)
    found = for_batches()
    names = [type(found).__name__]
    if isinstance(found, Int8Backend):
        names.append(type(found._rest).__name__)
    assert names == wanted


@pytest.mark.parametrize("value", [65504, -7e4, float("inf"), float("nan")])
def test_weights_beyond_float16_are_found_out(value):
    packed = random_network()
    assert packed.fits_float16
    packed.products[1][3, 5] = value
    assert not packed.fits_float16
    double = pack(packed.config, LanguageModel(packed.config).to_weights(), np.float64)
    assert not double.fits_float16


def test_the_matrix_of_the_entrance_is_asked_about_too(monkeypatch):
    monkeypatch.setattr(packing, "TABLE_MAX", 0)
    packed = random_network()
    assert packed.fits_float16
    packed.entrance[0, 0] = 1e5
    assert not packed.fits_float16
