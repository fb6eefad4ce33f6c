"""cell: of a planted unit all numbers are known by hand."""

import json
from dataclasses import replace

import numpy as np
import planted
import pytest
from rich.cells import cell_len
from typer.testing import CliRunner
from viewing import INTERVAL, drawing_of, json_of

from charrnn.cli.app import app
from charrnn.display.views.cell import last_columns
from charrnn.errors import ConfigError
from charrnn.modeldir import read_model, weight_shapes, write_model
from charrnn.tokenizer import Tokenizer
from charrnn.views.activations import parse_unit
from charrnn.views.cell import (
    extremes,
    measure_cell,
    scale_of,
    shares_of,
    shown_pieces,
)
from charrnn.views.cell_numbers import time_constant
from charrnn.views.envelope import open_text

SIZE = 5000
CONTEXT = {
    "type": "object",
    "required": ["position", "value", "before", "symbol", "after"],
    "additionalProperties": False,
    "properties": {
        "position": {"type": "integer"},
        "value": {"type": "number"},
        **{key: {"type": "string"} for key in ("before", "symbol", "after")},
    },
}
CONTEXTS = {"type": "array", "items": CONTEXT}
EFFECTS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["symbol", "logit"],
        "additionalProperties": False,
        "properties": {"symbol": {"type": "string"}, "logit": {"type": "number"}},
    },
}
NUMBERS = {"type": "array", "items": {"type": "number"}}
RESULT = {
    "unit": {"type": "string"},
    **dict.fromkeys(("mean", "std", "autocorrelation_time"), INTERVAL),
    "time_constant": {"anyOf": [INTERVAL, {"type": "null"}]},
    "histogram": {"type": "array", "items": {"type": "integer"}},
    "edges": NUMBERS,
    "highest": CONTEXTS,
    "lowest": CONTEXTS,
    "quantiles": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["quantile", "contexts"],
            "properties": {"contexts": CONTEXTS},
        },
    },
    "promoted": EFFECTS,
    "suppressed": EFFECTS,
    "excerpt": {"type": "object", "required": ["start", "pieces", "values"]},
    "sentence": {"type": "string"},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The planted model, and a text that it can read."""
    directory = tmp_path_factory.mktemp("cell")
    planted.write_planted(directory / "model")
    (directory / "text").write_text(planted.planted_text(SIZE, seed=3))
    return directory


def measured(model, unit):
    """Return what the view finds, and the text."""
    stored = read_model(model / "model")
    text = open_text(stored, [str(model / "text")])
    steps = measure_cell(stored, text, unit)
    done = 0
    while True:
        try:
            assert done < (done := next(steps)) <= SIZE
        except StopIteration as stop:
            return stop.value, (model / "text").read_text()


@pytest.mark.parametrize(
    ("unit", "row", "factor"),
    [(planted.DEPTH, 0, 0.1), (planted.POSITION, 1, 0.01), (planted.LATCH, 2, 0.9)],
)
def test_the_values_are_those_that_were_planted(model, unit, row, factor):
    cell, text = measured(model, f"c:0:{unit}")
    wanted = planted.planted_cells(text)[row] * factor
    assert cell.values == pytest.approx(wanted, abs=1e-3)
    assert cell.numbers.mean.mean == pytest.approx(wanted.mean(), abs=1e-3)
    assert cell.numbers.std.mean == pytest.approx(wanted.std(), abs=1e-3)
    assert sum(cell.histogram) == SIZE
    assert cell.edges[0] == cell.values.min()
    assert cell.edges[-1] == cell.values.max()


def test_a_cell_that_leaks_a_tenth_has_the_time_constant_of_nine_tenths(model):
    leaks, _ = measured(model, f"c:0:{planted.LEAK}")
    assert leaks.numbers.time_constant.mean == pytest.approx(-1 / np.log(0.9), rel=1e-4)
    assert "9.49" in drawing_of(["cell", f"c:0:{planted.LEAK}", "-m", *paths(model)], 80)


def test_resets_count_in_the_time_constant_and_without_leaks_there_is_none():
    kept = np.array([1.0, 0.5, 0.25, 1.0], np.float32)
    assert time_constant(kept).mean == pytest.approx(4 / (3 * np.log(2)))
    assert time_constant(np.ones(3, np.float32)) is None
    assert time_constant(np.array([1.0, 0.0], np.float32)).mean == 0


def test_the_highest_contexts_are_the_ends_of_the_longest_lines(model):
    cell, text = measured(model, f"c:0:{planted.POSITION}")
    position = planted.planted_cells(text)[1]
    first = cell.highest[0]
    assert position[first.position] == position.max()
    assert first.value == pytest.approx(position.max() / 100, abs=1e-3)
    assert len(cell.highest) == len(cell.lowest) == 20
    assert {one.symbol for one in cell.lowest} == {"\n"}
    values = [one.value for one in cell.highest]
    assert values == sorted(values, reverse=True)
    for one in (*cell.highest, *cell.lowest):
        assert one.before == text[max(0, one.position - 40) : one.position]
        assert one.symbol == text[one.position]
        assert one.after == text[one.position + 1 :][:12]


def test_extreme_places_are_apart_and_equal_ones_come_in_order():
    values = np.array([0, 5, 4, *[0] * 30, 3, 3, *[0] * 30], np.float32)
    found = extremes(values, ["x"] * len(values), highest=True)
    assert [one.position for one in found[:3]] == [1, 33, 53]
    lowest = extremes(values, ["x"] * len(values), highest=False)
    assert [one.position for one in lowest] == [0, 20, 40, 60]
    values[[20, 21, 40]] = 7, 8, 9
    before = extremes(values, ["x"] * len(values), highest=True)
    assert [one.position for one in before[:3]] == [40, 20, 0]


def test_samples_of_a_quantile_have_about_its_value(model):
    cell, _ = measured(model, f"c:0:{planted.POSITION}")
    for quantile, contexts in cell.quantiles:
        wanted = np.quantile(cell.values, quantile)
        assert len(contexts) == 3
        assert [one.value for one in contexts] == pytest.approx([wanted] * 3, abs=0.04)


def test_only_the_hidden_unit_of_the_last_layer_promotes_symbols(model):
    cell, _ = measured(model, f"h:0:{planted.LATCH}")
    # the latch writes one weight: all but the mean of nine symbols goes to }
    weight = planted.planted_weights()[1]["output.weight"][:, planted.LATCH].max()
    size = len(planted.SYMBOLS)
    (promoted,) = cell.promoted
    assert promoted.symbol == "}"
    assert promoted.logit == pytest.approx(weight * (1 - 1 / size))
    assert [one.symbol for one in cell.suppressed] == list('\n "()ab{')  # ties by id
    assert [one.logit for one in cell.suppressed] == pytest.approx([-weight / size] * (size - 1))
    assert not measured(model, f"c:0:{planted.LATCH}")[0].promoted


def test_a_lower_layer_promotes_nothing_and_what_is_tied_speaks_through_the_embedding(tmp_path):
    stored = read_model(planted.write_planted(tmp_path / "planted"))
    config = replace(stored.config, num_layers=2, embedding_size=3, hidden_size=3, tie_weights=True)
    rng = np.random.default_rng(4)
    shapes = weight_shapes(config).items()
    weights = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes}
    (tmp_path / "model").mkdir()
    write_model(tmp_path / "model", config, Tokenizer("char", tuple(planted.SYMBOLS)), weights)
    (tmp_path / "text").write_text(planted.planted_text(200))
    assert not measured(tmp_path, "h:0:1")[0].promoted
    column = weights["embedding.weight"][:, 1]
    best = measured(tmp_path, "h:1:1")[0].promoted[0]
    assert best.symbol == planted.SYMBOLS[int(np.argmax(column))]
    assert best.logit == pytest.approx(column.max() - column.mean(), rel=1e-5)


def test_the_scale_is_fixed_but_for_a_cell_beyond_the_hyperbolic_tangent(model):
    cell, _ = measured(model, f"c:0:{planted.LATCH}")
    assert scale_of(cell) == ("tanh(c)", -1, 1)
    assert shares_of(cell).max() == pytest.approx((np.tanh(0.9) + 1) / 2, abs=1e-3)
    wide = replace(cell, values=np.linspace(-10, 40, 1001, dtype=np.float32))
    assert scale_of(wide) == pytest.approx(("c", -9, 39))
    assert shares_of(wide)[[0, 500, 1000]] == pytest.approx([0, 0.5, 1])
    assert scale_of(replace(cell, unit="h:0:2")) == ("h", -1, 1)
    gate = replace(cell, unit="f:0:2", values=np.array([0.0, 0.25, 1.0], np.float32))
    assert shares_of(gate) == pytest.approx([0, 0.25, 1])
    flat = replace(cell, values=np.full(9, 7.0, np.float32))
    assert np.isfinite(shares_of(flat)).all()


def test_special_symbols_are_shown_by_name():
    tokenizer = Tokenizer("char", ("<s>", "</s>", "a"))
    assert shown_pieces(tokenizer, np.array([0, 2, 1])) == ["<s>", "a", "</s>"]


def test_the_end_of_a_text_is_cut_by_columns():
    assert last_columns("abcdef", 3) == "def"
    assert last_columns("語語語", 5) == "語語"
    assert last_columns("a", 5) == "a"


def paths(model):
    return [str(model / "model"), str(model / "text")]


def test_json_follows_the_schema(model):
    arguments = ["cell", f"c:0:{planted.QUOTE}", "-m", *paths(model)]
    value = json_of(arguments, RESULT)
    quote = planted.planted_cells((model / "text").read_text())[3]
    assert value["result"]["excerpt"]["values"] == pytest.approx(0.9 * quote[:2000], abs=1e-3)
    assert value["settings"] == {"unit": f"c:0:{planted.QUOTE}"}


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_drawing_fits_the_terminal_and_the_symbols_stand_beneath_the_arrow(model, columns):
    shown = drawing_of(["cell", f"c:0:{planted.POSITION}", "-m", *paths(model)], columns)
    lines = shown.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("lowest"))
    arrow = cell_len(lines[start].split("▼")[0])
    assert {line[arrow] for line in lines[start + 1 : start + 21]} == {"⏎"}
    assert max(map(cell_len, lines)) <= columns


def test_all_paints_the_rest(model):
    arguments = ["cell", f"c:0:{planted.LATCH}", "-m", *paths(model)]
    text = (model / "text").read_text()
    short, whole = drawing_of(arguments, 80), drawing_of([*arguments, "--all"], 80)
    assert "--all" in short
    assert "--all" not in whole
    last = text.rstrip("\n").splitlines()[-1].replace(" ", "·")
    assert last[-70:] in whole.split("tanh(c) = -1")[0]


def test_a_unit_that_is_not_there_is_refused_in_one_line(model):
    stored = read_model(model / "model")
    with pytest.raises(ConfigError, match="c:0:8"):
        parse_unit("c:0:8", stored.config)
    found = CliRunner().invoke(app, ["inspect", "cell", "z:0:1", "-m", *paths(model)])
    assert isinstance(found.exception, ConfigError)
    assert "c|h|i|f|g|o" in str(found.exception)
    assert json.dumps(found.stdout) == '""'
