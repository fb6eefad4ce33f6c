"""Neighbours of symbols whose directions are set by hand."""

import numpy as np
import pytest
from model_directories import make_model
from viewing import drawing_of, json_of

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.model import LanguageModel
from charrnn.modeldir import read_model, weight_shapes, write_model
from charrnn.tokenizer import Tokenizer
from charrnn.views.embed import chance_cosine, measure_embedding, sentence

NEAR = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["symbol", "cosine"],
        "properties": {"cosine": {"type": "number", "minimum": -1.0001, "maximum": 1.0001}},
    },
}
RESULT = {
    "rows": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["symbol", "going_in", "going_out"],
            "properties": {"going_in": NEAR, "going_out": NEAR},
        },
    },
    **{name: {"type": "number"} for name in ("chance_in", "chance_out", "chance_pair")},
    **{name: {"type": "number"} for name in ("above_in", "above_out")},
    "tied": {"type": "boolean"},
    "sentence": {"type": "string"},
}


def made(directory, embedding_size, **weights):
    config = ModelConfig(4, embedding_size=embedding_size, hidden_size=3, num_layers=1)
    values = {name: np.zeros(shape, np.float32) for name, shape in weight_shapes(config).items()}
    for name, value in weights.items():
        key = name.replace("__", ".")
        values[key] = np.array(value, np.float32).reshape(values[key].shape)
    directory.mkdir()
    write_model(directory, config, Tokenizer("char", tuple("abcd")), values)
    return read_model(directory)


def test_neighbours_are_those_of_the_nearest_direction(tmp_path):
    stored = made(
        tmp_path / "m",
        2,
        embedding__weight=[[1, 0], [5, 1], [-3, 0], [0, 2]],
        output__weight=[[0, 0, 1], [1, 1, 0], [0, 0, 9], [-1, 0, 0]],
    )
    found = measure_embedding(stored, ["a"], 3)
    (row,) = found.rows
    assert [near.symbol for near in row.going_in] == ["b", "d", "c"]
    cosines = [near.cosine for near in row.going_in]
    assert cosines == pytest.approx([5 / np.sqrt(26), 0, -1])
    assert (row.going_out[0].symbol, row.going_out[0].cosine) == ("c", pytest.approx(1))
    assert "'a' and 'c'" in sentence(found)


def test_one_hot_symbols_are_columns_of_the_input_weights(tmp_path):
    columns = np.zeros((12, 4))
    columns[:, 0], columns[:, 3] = np.arange(12), 2 * np.arange(12)
    columns[5, 1] = columns[2, 2] = 1
    stored = made(tmp_path / "m", 0, recurrent__weight_ih_l0=columns)
    row = measure_embedding(stored, ["d"]).rows[0]
    assert (row.going_in[0].symbol, row.going_in[0].cosine) == ("a", pytest.approx(1))


def test_chance_is_what_random_directions_reach():
    rng = np.random.default_rng(5)
    best = []
    for _ in range(400):
        vectors = rng.normal(size=(50, 10))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        best.append((vectors[1:] @ vectors[0]).max())
    assert chance_cosine(49, 10) == pytest.approx(np.quantile(best, 0.95), abs=0.03)


def test_random_weights_have_few_neighbours_above_chance(tmp_path):
    make_model(tmp_path / "m", embedding_size=40, hidden_size=40)
    found = measure_embedding(read_model(tmp_path / "m"))
    assert found.above_in < 0.5
    assert len(found.rows) == 9


def test_a_word_that_is_no_symbol_is_refused(tmp_path):
    make_model(tmp_path / "m")
    with pytest.raises(ConfigError, match="'hello' is not one symbol"):
        measure_embedding(read_model(tmp_path / "m"), ["hello"])


def test_tied_weights_are_shown_once(tmp_path):
    make_model(tmp_path / "m", embedding_size=5, hidden_size=5, tie_weights=True)
    value = json_of(["embed", "-m", tmp_path / "m"], RESULT)["result"]
    assert value["tied"] is True
    assert all(row["going_in"] == row["going_out"] for row in value["rows"])
    assert "going in" not in drawing_of(["embed", "-m", tmp_path / "m"], 80).splitlines()[0]


def test_json_follows_the_schema(tmp_path):
    make_model(tmp_path / "m")
    value = json_of(["embed", "h", "e", "-k", 2, "-m", tmp_path / "m"], RESULT)["result"]
    assert [row["symbol"] for row in value["rows"]] == ["h", "e"]
    assert {len(row["going_out"]) for row in value["rows"]} == {2}


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_drawing_fits_the_terminal(tmp_path, columns):
    make_model(tmp_path / "m")
    assert "going out" in drawing_of(["embed", "-m", tmp_path / "m"], columns)


@pytest.mark.slow
@pytest.mark.parametrize(("num", "size"), [(20, 2), (500, 3), (2000, 64)])
def test_chance_of_many_pairs_is_the_quantile_of_their_largest_cosine(num, size):
    rng = np.random.default_rng(6)
    best = []
    for _ in range(300):
        vectors = rng.normal(size=(num, size))
        best.append((vectors[:, 0] / np.linalg.norm(vectors, axis=1)).max())
    assert np.mean(np.array(best) < chance_cosine(num, size)) == pytest.approx(0.95, abs=0.035)


def test_the_best_pair_stands_beside_the_best_pair_of_random_directions(tmp_path):
    make_model(tmp_path / "m", embedding_size=40, hidden_size=40)
    found = measure_embedding(read_model(tmp_path / "m"))
    assert found.chance_pair > found.chance_out
    assert f"by chance {found.chance_pair:.2f}" in sentence(found)
    assert "(by chance 5%)" in sentence(found)


def test_one_symbol_has_no_neighbours(tmp_path):
    config = ModelConfig(1, hidden_size=4, embedding_size=3)
    (tmp_path / "m").mkdir()
    weights = LanguageModel(config).to_weights()
    write_model(tmp_path / "m", config, Tokenizer("char", ("a",)), weights)
    with pytest.raises(ConfigError, match="one symbol"):
        measure_embedding(read_model(tmp_path / "m"))
