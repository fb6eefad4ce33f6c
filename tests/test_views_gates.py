"""Gates whose openings are set by hand."""

import numpy as np
import pytest
from model_directories import make_model
from test_views_memory import inspected
from viewing import INTERVAL, drawing_of, json_of

from charrnn.config import ModelConfig
from charrnn.modeldir import StoredModel, weight_shapes
from charrnn.tokenizer import Tokenizer
from charrnn.views.gates import Gates, measure_gates, sentence
from charrnn.views.keeping import shown_tokens, spread_of

ROW = {
    "type": "object",
    "required": ["layer", "gate", "left", "right", "control", "density", "time_constants"],
    "properties": {
        "gate": {"enum": list("iforzh")},
        "left": INTERVAL,
        "right": INTERVAL,
        "density": {"type": "array", "minItems": 10, "maxItems": 10},
        "time_constants": {"type": "array", "items": {"type": ["number", "null"]}},
    },
}
RESULT = {
    "rows": {"type": "array", "minItems": 1, "items": ROW},
    "keeps": {"type": "array", "items": INTERVAL},
    "control_keeps": {"type": "array"},
    "num_tokens": {"type": "integer"},
    "sentence": {"type": "string"},
}
TEXT = inspected(np.random.default_rng(1).choice(2, 4000, p=[0.3, 0.7]))


def stored_model(cell_type, hidden_size, **weights):
    """Return a model of two symbols, one-hot, with zeros but for these weights of layer 0."""
    config = ModelConfig(
        2, embedding_size=0, hidden_size=hidden_size, num_layers=1, cell_type=cell_type
    )
    values = {name: np.zeros(shape, np.float32) for name, shape in weight_shapes(config).items()}
    for name, weight in weights.items():
        values[f"recurrent.{name}_l0"] = np.asarray(weight, np.float32)
    whole = {"path": None, "tokenizer": Tokenizer("char", ("a", "b")), "generation": None}
    fields = StoredModel.__dataclass_fields__
    rest = dict.fromkeys(set(fields) - {"config", "weights", *whole})
    return StoredModel(**whole, **rest, config=config, weights=values)


def measured(stored):
    *reports, found = measure_gates(stored, TEXT)
    assert reports[-1].done == reports[-1].total == 4000
    assert isinstance(found, Gates)
    return {row.gate: row for row in found.rows}, found


def test_shares_and_time_constants_are_those_of_the_gates():
    logit = np.log([0.95 / 0.05, 9, 0.05 / 0.95])  # i opens at 0.95, f keeps 0.9, o shuts
    bias = np.zeros((4, 3))
    bias[0], bias[1], bias[3] = logit[0], [logit[1], 40, -40], logit[2]
    weight = np.zeros((4, 3, 2))
    weight[0, 1, 0] = -2 * logit[0]  # unit 1: i is shut where an `a` comes
    rows, found = measured(
        stored_model("lstm", 3, bias_ih=bias.ravel(), weight_ih=weight.reshape(12, 2))
    )
    share = float((np.asarray(TEXT.ids) == 0).mean())
    np.testing.assert_allclose(rows["i"].unit_left, [0, share, 0])
    np.testing.assert_allclose(rows["i"].unit_right, [1, 1 - share, 1])
    assert rows["i"].left.mean == pytest.approx(share / 3)
    assert rows["i"].left.low < 0.1 < rows["i"].left.high
    assert rows["o"].unit_left == [1, 1, 1]
    times = rows["f"].time_constants
    assert times[0] == pytest.approx(-1 / np.log(0.9), rel=1e-4)
    assert times[1] > 1e6
    assert times[2] == pytest.approx(1 / 40, rel=1e-3)
    assert rows["i"].time_constants == []
    tenth = int(10 * share)
    assert rows["i"].density[tenth][int(10 * (1 - share))] == 1
    assert rows["i"].density[0][9] == 2
    assert sum(map(sum, rows["o"].density)) == 3
    assert sentence(found, "f").startswith("7 of 9 gates are stuck")


def test_a_grus_z_keeps():
    bias = np.zeros((3, 4))
    bias[0], bias[1] = -5, np.log(19)  # r is shut, z is 0.95
    rows, _ = measured(stored_model("gru", 4, bias_ih=bias.ravel()))
    assert set(rows) == {"r", "z"}
    np.testing.assert_allclose(rows["z"].time_constants, -1 / np.log(0.95), rtol=1e-4)
    assert rows["r"].left.mean == 1
    assert rows["z"].right.mean == 1


def test_a_network_without_gates_saturates_at_both_ends():
    rows, found = measured(stored_model("rnn", 2, weight_ih=[[3, -3], [0, 0]]))
    share = float((np.asarray(TEXT.ids) == 0).mean())
    np.testing.assert_allclose(rows["h"].unit_right, [share, 0])
    np.testing.assert_allclose(rows["h"].unit_left, [1 - share, 0])
    assert "units are stuck" in sentence(found, "")


def test_untrained_gates_are_rarely_saturated():
    rows, _ = measured(stored_model("lstm", 8, bias_ih=np.full(32, 30.0)))
    assert rows["o"].right.mean == 1
    assert rows["o"].control[1] < 0.05


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gates")
    for cell in ("lstm", "gru", "rnn", "peephole"):
        make_model(folder / cell, cell_type=cell)
    (folder / "text").write_text("hello\nhole <eh>" * 50)
    return folder


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "peephole"])
def test_json_follows_the_schema(files, cell):
    result = json_of(["gates", files / "text", "-m", files / cell], RESULT)["result"]
    assert {row["layer"] for row in result["rows"]} == {0, 1}
    assert all(len(row["unit_left"]) == 5 for row in result["rows"])


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_drawing_fits_the_terminal(files, columns):
    assert "keeps" in drawing_of(["gates", files / "text", "-m", files / "gru"], columns)
    drawing_of(["gates", files / "text", "-m", files / "lstm"], columns)


def test_how_long_units_keep_stands_beside_the_untrained_network():
    rows, found = measured(stored_model("lstm", 64, bias_ih=np.full(256, 5.0)))
    kept, plain = found.keeps[2], found.control_keeps[2]
    assert kept.mean == pytest.approx(-1 / np.log(1 / (1 + np.exp(-5))), rel=1e-3)
    assert plain < 5  # the bias with which training begins is about 1
    assert rows["f"].control.spread[2] == plain
    said = sentence(found, "f")
    assert f"keep for 149 [149, 149] (untrained {plain:.1f}) tokens or more" in said
    assert "(untrained 0)" in said


def test_quantiles_of_time_constants_have_intervals_that_hold_the_truth():
    rng = np.random.default_rng(3)
    held = 0
    for seed in range(40):
        logs = 500 * np.log(0.9) * rng.gamma(20, 1 / 20, (30, 1)) * np.ones(11)
        found = spread_of(logs, 15_000, seed)[2]
        held += found.low < -1 / np.log(0.9) < found.high
    assert 34 <= held <= 40
    assert spread_of(np.zeros((4, 3)), 2000)[2].mean == np.inf
    assert np.isnan(spread_of(np.full((1, 3), -5.0), 300)[2].low)


def test_times_are_shown_with_two_digits_and_without_end_from_a_hundred_thousand_tokens_on():
    assert [shown_tokens(t) for t in (0.456, 4.56, 45.6, 456.7, 1e5)] == [
        "0.46",
        "4.6",
        "46",
        "457",
        "∞",
    ]
