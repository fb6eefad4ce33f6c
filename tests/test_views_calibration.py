"""Calibration of predictions whose truth is known."""

import numpy as np
import pytest
from test_views_compare import make_directory
from viewing import INTERVAL, drawing_of, json_of

from charrnn.errors import CorpusError
from charrnn.modeldir import read_model
from charrnn.views.calibration import (
    TEMPERATURES,
    Outcomes,
    calibrate,
    calibration_error,
    measure_calibration,
    read_outcomes,
    sentence,
)
from charrnn.views.envelope import open_text
from charrnn.views.intervals import shown

SHARES = np.array([0.6, 0.2, 0.15, 0.05])
RESULT = {
    "bars": {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "required": ["low", "high", "count", "confidence", "accuracy"],
            "properties": {"accuracy": INTERVAL, "count": {"type": "integer", "minimum": 1}},
        },
    },
    "ece": INTERVAL,
    "null": {"type": "object", "required": ["low", "high"]},
    "overconfidence": INTERVAL,
    "temperature": INTERVAL,
    "saved": INTERVAL,
    "num_tokens": {"type": "integer"},
    "sentence": {"type": "string"},
}


def outcomes_of(logits, tokens):
    """Return the outcomes of predicting softmax(logits) (N, V) where `tokens` came."""
    nats = np.empty((len(tokens), len(TEMPERATURES)))
    for column, temperature in enumerate(TEMPERATURES):
        scaled = logits / temperature
        norm = np.log(np.exp(scaled).sum(1))
        nats[:, column] = norm - scaled[np.arange(len(tokens)), tokens]
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return Outcomes(shares.max(1), shares.argmax(1) == tokens, nats)


def draw(sharpness, seed, size=20_000):
    """Return outcomes of a network whose logits are `sharpness` times the true ones."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(size, 5))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    tokens = (rng.random((size, 1)) > shares.cumsum(1)).sum(1)
    return outcomes_of(sharpness * logits, np.minimum(tokens, 4))


def test_a_calibrated_network_is_within_its_null_band():
    inside = 0
    for seed in range(10):
        found = calibrate(draw(1.0, seed, 4000))
        inside += found.null[0] <= found.ece.mean <= found.null[1]
        assert 0.9 < found.temperature.mean < 1.1
    assert inside >= 8


@pytest.mark.parametrize("sharpness", [0.6, 1.6])
def test_the_temperature_undoes_what_is_too_sharp_or_too_flat(sharpness):
    found = calibrate(draw(sharpness, 3))
    assert found.ece.mean > found.null[1]
    assert found.temperature.mean == pytest.approx(sharpness, rel=0.05)
    assert found.temperature.low <= sharpness * 1.03
    assert found.temperature.high >= sharpness * 0.97
    assert found.saved.low > 0
    assert (found.overconfidence.low > 0) == (sharpness > 1)
    assert ("overconfident" in sentence(found)) == (sharpness > 1)


def test_the_error_is_the_mean_gap_of_the_bins():
    confidence = np.array([0.95, 0.95, 0.35, 0.35])
    correct = np.array([True, False, False, True])
    bins = (confidence * 10).astype(np.int64)
    expected = (2 * 0.45 + 2 * 0.15) / 4
    assert calibration_error(confidence, correct, bins) == pytest.approx(expected)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibration")
    directory = make_directory(folder / "model", "abcd", 1.5 * np.log(SHARES))
    tokens = np.random.default_rng(9).choice(4, 8000, p=SHARES)
    (folder / "text").write_text("".join("abcd"[token] for token in tokens))
    return directory, folder / "text", tokens


def test_outcomes_are_those_of_the_network(model):
    stored = read_model(model[0])
    found = read_outcomes(stored, open_text(stored, [str(model[1])]))
    logits = np.tile(1.5 * np.log(SHARES), (7999, 1))
    expected = outcomes_of(logits, model[2][1:])
    np.testing.assert_allclose(found.confidence, expected.confidence, rtol=1e-5)
    np.testing.assert_array_equal(found.correct, expected.correct)
    np.testing.assert_allclose(found.nats, expected.nats, rtol=1e-4)


def test_a_text_of_two_tokens_is_too_short(model, tmp_path):
    stored = read_model(model[0])
    (tmp_path / "short").write_text("ab")
    with pytest.raises(CorpusError, match="at least 4"):
        measure_calibration(stored, open_text(stored, [str(tmp_path / "short")]))


def test_json_follows_the_schema(model):
    result = json_of(["calibration", model[1], "-m", model[0]], RESULT)["result"]
    assert result["temperature"]["mean"] == pytest.approx(1.5, rel=0.1)
    assert sum(bar["count"] for bar in result["bars"]) == result["num_tokens"] == 7999


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_drawing_fits_the_terminal(model, columns):
    assert "ECE" in drawing_of(["calibration", model[1], "-m", model[0]], columns)


def test_what_is_not_sure_is_not_said_to_be_so():
    good = calibrate(draw(1.0, 1, 4000))
    assert good.ece.mean <= good.null[1]
    assert "Nothing speaks against" in sentence(good)
    assert "no other temperature is sure to help" in sentence(good)
    sharp = calibrate(draw(1.6, 3))
    assert f"temperature {shown(sharp.temperature, '{:.2f}')} would save" in sentence(sharp)


@pytest.mark.slow
def test_of_few_blocks_the_temperature_is_less_sure():
    few, many = (calibrate(draw(1.3, 3, size)).temperature for size in (3000, 48_000))
    assert few.high - few.low > 3 * (many.high - many.low)
    assert few.low <= 1.3 <= few.high
