"""Products in 8-bit integers: exact but for the rounding, refused where that would be felt."""

import numpy as np
import pytest
import torch

from charrnn import int8

needs_it = pytest.mark.skipif(not int8.is_possible(), reason="needs VNNI, and torch's operators")


@pytest.fixture
def untried():
    int8.is_possible.cache_clear()
    yield
    int8.is_possible.cache_clear()


def make_matrix(depth=96, width=50):
    return np.random.default_rng(depth).standard_normal((depth, width), np.float32) * np.float32(
        0.1
    )


@needs_it
@pytest.mark.parametrize("num_rows", [1, 2, 33, 128])
@pytest.mark.parametrize(("depth", "width"), [(1, 1), (37, 130), (512, 65)])
def test_sums_are_exact_of_weights_rounded_by_the_largest_of_each_column(num_rows, depth, width):
    random = np.random.default_rng(num_rows)
    matrix, bias = make_matrix(depth, width), random.standard_normal(width, np.float32)
    matrix[:, -1] = 0
    rows = random.integers(0, 256, (num_rows, depth), np.uint8)
    laid = int8.lay_out(matrix, 1.0, 128)
    found = int8.product(torch.from_numpy(rows), 0.03, laid, torch.from_numpy(bias))
    assert found.dtype == torch.float32
    steps = np.maximum(np.abs(matrix).max(axis=0), 1e-30).astype(float) / 127
    rounded = np.round(matrix / steps) * steps
    wanted = (rows.astype(float) - 128) * 0.03 @ rounded + bias
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-5, atol=1e-4)


@needs_it
def test_products_of_the_largest_do_not_saturate():
    laid = int8.lay_out(np.full((512, 3), -2.0, np.float32), 1e-3, 4)
    rows = torch.full((4, 512), 255, dtype=torch.uint8)
    found = int8.product(rows, 1.0, laid, torch.zeros(3))
    np.testing.assert_allclose(found.numpy(), -2.0 * 127 * 512, rtol=1e-6)


@needs_it
@pytest.mark.parametrize(
    "harm",
    [
        lambda matrix: matrix.__setitem__(3, 30 * matrix[3]),  # a large row is in all columns
        lambda matrix: matrix.__setitem__((3, 7), 10),  # one is enough for its column
        lambda matrix: np.sign(matrix, out=matrix),  # it is the inputs that are rounded
    ],
)
def test_a_matrix_that_rounding_would_harm_is_refused(harm):
    matrix = make_matrix(512, 700) / 2
    assert int8.lay_out(matrix, 1.0, 128) is not None
    harm(matrix)
    assert int8.lay_out(matrix, 1.0, 128) is None


@needs_it
@pytest.mark.parametrize(("largest", "is_laid"), [(0.45, True), (0.5, False)])
def test_what_rounding_adds_to_sums_is_within_the_limit(largest, is_laid):
    random = np.random.default_rng(0)
    matrix = random.uniform(-largest, largest, (400, 300)).astype(np.float32)
    inputs = random.uniform(-1, 1, (500, 400))
    signs = np.sign(inputs)  # as large as can be
    rounded = np.round(matrix / largest * 127) / 127 * largest
    felt = signs @ (rounded - matrix) + (np.round(inputs * 127) / 127 - inputs) @ matrix
    assert bool(np.sqrt(np.mean(felt**2)) < int8.ROUNDING) is is_laid
    assert (int8.lay_out(matrix, 1.0, 128) is not None) is is_laid


@needs_it
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_matrix_that_is_not_finite_is_refused(value):
    matrix = make_matrix()
    matrix[5, 7] = value
    assert int8.lay_out(matrix, 1.0, 128) is None


@needs_it
def test_a_matrix_of_zeros_is_one_like_others():
    laid = int8.lay_out(np.zeros((8, 4), np.float32), 1.0, 128)
    found = int8.product(torch.full((2, 8), 200, dtype=torch.uint8), 1.0, laid, torch.ones(4))
    assert found.tolist() == [[1.0] * 4] * 2


@pytest.mark.parametrize("name", ["lay_out", "product"])
@pytest.mark.parametrize("error", [RuntimeError, AttributeError, TypeError, NotImplementedError])
def test_a_torch_without_the_operators_is_found_out(untried, monkeypatch, name, error):
    def refuse(*arguments):
        raise error("not here")

    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: True)
    monkeypatch.setattr(int8, name, refuse)
    assert not int8.is_possible()


WRONG = [
    lambda rows, matrix: np.minimum(rows @ matrix, 255 * 127),  # cut off at 16 bits
    lambda rows, matrix: rows @ matrix.T.reshape(matrix.shape),  # rows taken for columns
    lambda rows, matrix: rows[:, ::-1] @ matrix,
    lambda rows, matrix: rows.astype(np.int8) @ matrix,
]


@pytest.mark.parametrize("product", [np.matmul, *WRONG])
def test_products_are_tried_with_numbers_that_differ(untried, monkeypatch, product):
    def lay_out(matrix, bound, num_rows):
        scales = np.abs(matrix).max(axis=0) / 127
        return np.round(matrix / scales), scales

    def multiply(rows, unit, laid, bias):
        integers, scales = laid
        sums = product(rows.numpy().astype(float), integers) - 128 * integers.sum(axis=0)
        return torch.from_numpy(sums * scales * unit) + bias

    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: True)
    monkeypatch.setattr(int8, "lay_out", lay_out)
    monkeypatch.setattr(int8, "product", multiply)
    assert int8.is_possible() is (product is np.matmul)


@pytest.mark.parametrize("missing", [True, False])
def test_without_the_hardware_nothing_is_tried(untried, monkeypatch, missing):
    if missing:
        monkeypatch.delattr(torch.cpu, "_is_vnni_supported")
    else:
        monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: False)
    monkeypatch.setattr(int8, "lay_out", None)
    assert not int8.is_possible()
