"""cells: planted cells are found exactly, and networks that learned nothing have none."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import planted
import pytest
import torch
from model_directories import make_config, make_weights
from viewing import INTERVAL, drawing_of, json_of

from charrnn.display.views.cells import show_cells
from charrnn.errors import ConfigError, CorpusError
from charrnn.model import LanguageModel
from charrnn.modeldir import read_model
from charrnn.views.activations import Activations, parse_unit
from charrnn.views.cells import BUDGETS, grade_of, measure_cells, split
from charrnn.views.cells_cause import Cause, difference
from charrnn.views.cells_control import Control, upper_bound
from charrnn.views.cells_network import told
from charrnn.views.cells_probe import forward_order, probe_features
from charrnn.views.cells_result import best_start, excerpt_of, excerpts_of, sentence, to_result
from charrnn.views.cells_score import Halves, Judged, best_threshold, line_of, usable
from charrnn.views.envelope import open_text
from charrnn.views.features import Feature
from charrnn.views.intervals import Interval
from charrnn.views.intervention import Hold, run_steps
from charrnn.views.resampling import explained_interval

ROW_KEYS = ["feature", "unit", "auc", "r2", "memory_r2", "p", "n90", "delta_bits", "grade"]
NUMBER, COUNT = {"type": ["number", "null"]}, {"type": ["integer", "null"]}
ROW = {
    "type": "object",
    "required": ROW_KEYS,
    "additionalProperties": False,
    "properties": {
        "feature": {"type": "string"},
        "unit": {"type": ["string", "null"], "pattern": r"^[ch]:\d+:\d+$"},
        **dict.fromkeys(("auc", "r2", "memory_r2", "p", "delta_bits"), NUMBER),
        "n90": COUNT,
        "grade": {"enum": ["A", "B", "C", None]},
    },
}
RESULT = {
    "features": {"type": "array", "items": ROW},
    "details": {
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "required": ["kind", "sign", "score", "memory_r2", "control", "probe", "cause"],
            "properties": {"score": INTERVAL, "memory_r2": INTERVAL, "probe": INTERVAL},
        },
    },
    "excerpts": {
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "required": ["start", "pieces", "values", "shares", "feature"],
        },
    },
    "num_units": {"type": "integer"},
    "sentence": {"type": "string"},
}
FAST = replace(BUDGETS["fast"], tokens=12_000, windows=32)


def finish(steps):
    """Return what a stream of progress ends with."""
    while True:
        try:
            report = next(steps)
        except StopIteration as stop:
            return stop.value
        assert 0 <= report.done <= report.total


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The planted model, and a text that it can read."""
    directory = tmp_path_factory.mktemp("planted")
    planted.write_planted(directory / "model")
    (directory / "text").write_text(planted.planted_text(12_000, seed=2))
    return directory


@pytest.fixture(scope="module")
def found(model):
    stored = read_model(model / "model")
    text = open_text(stored, [str(model / "text")])
    return finish(measure_cells(stored, text, budget=FAST, causal=True))


def row_of(found, name):
    (row,) = [row for row in found.rows if row.feature.name == name]
    return row


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "cell"), [("in_braces", planted.LATCH), ("in_double_quotes", planted.QUOTE)]
)
def test_a_planted_latch_is_found_with_the_area_one(found, name, cell):
    row = row_of(found, name)
    assert row.unit == f"c:0:{cell}"
    assert row.judged.auc == 1
    assert row.judged.score.low == 1
    assert row.judged.accuracy.low == 1
    assert 0 < row.judged.threshold < 0.9
    assert row.probe.n90 == 1
    assert row.grade in ("A", "B")
    assert row.holm_p < 0.01


@pytest.mark.parametrize(
    ("name", "cell"), [("bracket_depth", planted.DEPTH), ("line_position", planted.POSITION)]
)
def test_a_planted_counter_is_found_with_the_correlation_one(found, name, cell):
    row = row_of(found, name)
    assert row.unit == f"c:0:{cell}"
    assert row.judged.score.mean >= 0.999
    assert row.judged.spearman.low >= 0.999
    assert row.judged.r2.low >= 0.998
    assert row.judged.auc is None
    assert row.grade == "B"


def test_the_latch_that_the_output_uses_is_a_cause_and_a_cell_it_ignores_is_none(found):
    used, ignored = row_of(found, "in_braces"), row_of(found, "in_double_quotes")
    assert used.grade == "A"
    assert used.cause.delta.low > 0
    assert used.cause.clamp.low > 4  # ln p of } between the ends of the latch
    assert len(used.cause.clamp_random) == len(used.cause.random) > 2
    assert max(used.cause.clamp_random) < 0.1  # of the cells that the closing does not see
    assert ignored.grade == "B"
    assert ignored.cause.delta.mean == pytest.approx(0, abs=1e-6)


def test_an_echo_is_no_memory(found):
    row = row_of(found, "is_vowel")  # only a is one here, and the leak is written by it
    assert row.judged.memory.mean < 0.02
    assert row.grade not in ("A", "B")


def test_what_the_text_does_not_hold_has_no_row_of_its_own(found):
    assert {"is_upper", "in_comment", "speaker_line"} <= set(found.absent)
    assert {row.feature.name for row in found.rows}.isdisjoint(found.absent)
    assert "is_upper" in found.warnings[0]


def test_the_excerpt_shows_the_unit_over_its_feature(found):
    stored_row = row_of(found, "in_braces")
    excerpt = excerpt_of(found, stored_row, tokenizer_of())
    assert len(excerpt.pieces) == len(excerpt.shares) == len(excerpt.feature)
    assert excerpt.shares == pytest.approx(excerpt.feature, abs=1e-3)
    text = "".join(excerpt.pieces)
    braces = [c for c in text if c in "{}"]
    assert all(a != b for a, b in pairwise(braces))
    assert "c:0:2 in_braces" in sentence(found)


def tokenizer_of():
    from charrnn.tokenizer import Tokenizer

    return Tokenizer("char", tuple(planted.SYMBOLS))


def untrained(stored, seed, hidden_size):
    config = replace(stored.config, hidden_size=hidden_size)
    network = LanguageModel(config)
    network.reset(seed)
    return replace(stored, config=config, weights=network.to_weights())


def grades_of_untrained(model, seeds, hidden_size, budget):
    """Return how many untrained networks have a unit of grade A or B."""
    stored = read_model(model / "model")
    text = open_text(stored, [str(model / "text")])
    count = 0
    for seed in seeds:
        result = finish(measure_cells(untrained(stored, seed, hidden_size), text, budget=budget))
        count += any(row.grade in ("A", "B") for row in result.rows)
    return count


@pytest.mark.slow
def test_a_network_that_learned_nothing_has_no_unit_of_grade_a_or_b(model):
    assert grades_of_untrained(model, (100, 101), 24, FAST) == 0


@pytest.mark.torture
def test_of_twenty_untrained_networks_at_most_one_has_a_unit_of_grade_a_or_b(model):
    assert grades_of_untrained(model, range(100, 120), 128, FAST) <= 1


def judged(score, memory, low=None, memory_low=None):
    return Judged(
        sign=1,
        score=Interval(score, score if low is None else low, score),
        auc=score,
        r2=Interval(0.0, 0.0, 0.0),
        spearman=Interval(0.0, 0.0, 0.0),
        memory=Interval(memory, memory if memory_low is None else memory_low, memory),
        threshold=None,
        accuracy=None,
    )


def cause(delta, low, random):
    return Cause(Interval(delta, low, 2 * delta), delta, 0.0, random, None, [])


def test_grades_are_those_that_are_defined():
    control, nan = Control(0.8, 0.05, 0.7), float("nan")
    good = judged(0.9, 0.3)
    sure, weak = cause(0.1, 0.05, [0.0] * 20), cause(0.1, -0.01, [0.0] * 20)
    common = cause(0.1, 0.05, [0.2, 0.2] + [0.0] * 18)
    one_above = cause(0.1, 0.05, [0.2] + [0.0] * 19)
    assert grade_of(0.009, good, control, None) == "B"
    assert grade_of(0.009, good, control, sure) == "A"
    assert grade_of(0.009, good, control, one_above) == "A"
    assert grade_of(0.009, good, control, weak) == "B"
    assert grade_of(0.009, good, control, common) == "B"
    assert grade_of(0.011, good, control, sure) == "C"
    assert grade_of(0.051, good, control, sure) is None
    assert grade_of(0.001, judged(0.9, 0.3, low=0.79), control, sure) == "C"
    assert grade_of(0.001, judged(0.9, 0.3, memory_low=0.049), control, sure) == "C"
    assert grade_of(0.001, judged(0.9, 0.019), Control(0.8, 0.0, 0.7), sure) == "C"
    assert grade_of(0.001, judged(0.9, 0.3, low=nan), control, sure) == "C"
    assert grade_of(0.001, good, Control(nan, nan, nan), sure) == "C"


def test_the_bound_of_the_controls_is_above_them_all_and_never_above_one():
    alike = np.array([[0.5, 0.52], [0.5, 0.53], [0.5, 0.51]])
    assert upper_bound(alike) == 0.53
    assert 0.7 < upper_bound(np.array([[0.4, 0.42], [0.5, 0.52], [0.6, 0.62]])) < 0.85
    assert upper_bound(np.array([[0.99, 0.99], [0.9, 0.9], [0.999, 0.999]])) <= 1
    assert np.isnan(upper_bound(np.array([[0.5, np.nan], [0.4, 0.5]])))


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru", "peephole"])
def test_steps_without_a_hand_in_them_are_the_network(kind):
    config = make_config(cell_type=kind)
    network = LanguageModel(config)
    network.load_weights(make_weights(config))
    tokens = torch.tensor([[1, 2], [3, 0], [5, 5], [2, 7]])
    with torch.no_grad():
        wanted, last = network.run_layers(tokens)
        state = network.recurrent.zero_state(2)
        steps = list(run_steps(network, tokens, state, torch.ones(4, 2)))
        keep = torch.tensor([[1, 1], [1, 1], [1, 0], [1, 1.0]])
        fresh = list(run_steps(network, tokens, state, keep))[-1][0]
        again, _ = network.run_layers(tokens[2:])
    assert torch.allclose(torch.stack([hidden for hidden, _ in steps]), wanted, atol=1e-5)
    for part, other in zip(steps[-1][1], last, strict=True):
        assert torch.allclose(part, other, atol=1e-5)
    assert torch.allclose(fresh[0], wanted[-1, 0], atol=1e-5)
    assert torch.allclose(fresh[1], again[-1, 1], atol=1e-5)


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru", "peephole"])
def test_a_unit_that_is_held_stays_and_what_is_above_it_sees_it_at_once(kind):
    config = make_config(cell_type=kind)
    network = LanguageModel(config)
    network.load_weights(make_weights(config))
    tokens = torch.tensor([[1, 1, 1], [2, 2, 2]])
    hold = Hold(0, torch.tensor([1, 2]), torch.tensor([3, 3]), torch.tensor([0.25, -0.75]))
    with torch.no_grad():
        state = network.recurrent.zero_state(3)
        steps = list(run_steps(network, tokens, state, torch.ones(2, 3), hold))
    for hidden, parts in steps:
        assert parts[-1][0, 1:, 3].tolist() == [0.25, -0.75]
        assert parts[-1][0, 0, 3] not in (0.25, -0.75)
        assert not torch.allclose(hidden[0], hidden[1])
        if kind in ("lstm", "peephole"):
            assert (parts[0][0, 1, 3] / np.tanh(0.25)).item() <= 1


def test_the_change_where_on_less_where_off_is_the_difference_of_means():
    on = np.array([[1, 1, 0, 0, 0, 1], [0, 1, 0, 1, 0, 1]], bool)
    changes = np.arange(12.0).reshape(2, 6)
    found, on_mean, off_mean = difference(changes, on)
    assert on_mean == changes[on].mean()
    assert off_mean == changes[~on].mean()
    assert found.mean == on_mean - off_mean
    assert found.low < found.mean < found.high


def test_forward_selection_takes_what_explains_most_of_what_is_left():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(5000, 6))
    x[:, 5] = x[:, 0] + 0.1 * rng.normal(size=5000)  # nearly the same as unit 0
    y = 2 * x[:, 0] + x[:, 3] + 0.5 * x[:, 1]
    order = forward_order(x.T @ x / 5000, x.T @ y / 5000, 4)
    assert order.tolist()[:3] == [0, 3, 1]


def test_n90_counts_the_units_that_share_a_feature():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(6000, 70)).astype(np.float32)
    activations = Activations([f"h:0:{i}" for i in range(70)], 6000)
    activations.append(values[:1000])
    activations.append(values[1000:])
    halves = Halves(slice(0, 2900), slice(3100, 6000))
    alone = Feature("alone", (values[:, 66] > 0.3).astype(np.float32), True)
    spread = Feature("spread", (values[:, :20].sum(1) > 0).astype(np.float32), True)
    first, second = probe_features(activations, [alone, spread], halves)
    assert first.score.low > 0.98
    assert first.n90 == 1
    assert 10 <= second.n90 <= 20
    assert activations.unit(66, halves.b) == pytest.approx(values[3100:, 66])
    assert [f for f, _ in activations.blocks(halves.a)] == [0, 64]


def test_the_threshold_is_the_best_of_all():
    rng = np.random.default_rng(3)
    values = rng.integers(6, size=40).astype(np.float32)
    on = rng.random(40) < values / 6
    threshold, accuracy = best_threshold(values, on)
    all_of_them = [
        ((values > t)[on].mean() + (values <= t)[~on].mean()) / 2 for t in np.arange(-0.5, 6)
    ]
    assert accuracy == pytest.approx(max(all_of_them))
    assert ((values > threshold)[on].mean() + (values <= threshold)[~on].mean()) / 2 == accuracy


def test_the_line_of_the_first_half_is_judged_on_the_second():
    x = np.linspace(0, 1, 50).astype(np.float32)

    def r2(x_a, y_a, x_b, y_b):
        return explained_interval(y_b, line_of(x_a, y_a, x_b), 500).mean

    assert r2(x, 3 * x + 1, x + 2, 3 * (x + 2) + 1) == pytest.approx(1)
    assert r2(x, 3 * x, x, -3 * x) < -1
    assert r2(np.ones_like(x), x, x, x) == pytest.approx(0, abs=1e-6)


def test_the_halves_do_not_touch_and_rare_features_are_left_out():
    halves = split(12_345)
    assert halves.b.start - halves.a.stop >= 500
    assert 0 <= halves.a.start < 900
    assert halves.b.stop == 12_345
    rare = np.zeros(12_345, np.float32)
    rare[[100, 200, 300]] = 1
    assert not usable(Feature("rare", rare, True), halves)
    rare[::50] = 1
    assert usable(Feature("rare", rare, True), halves)
    assert not usable(Feature("flat", np.ones(12_345, np.float32), False), halves)


def test_an_excerpt_starts_where_a_feature_changes():
    feature = np.zeros(2000, np.float32)
    feature[1000:1040] = feature[1060:1100] = 1
    assert 800 < best_start(feature, True, 200) < 1060


def test_units_have_names_and_others_are_refused():
    config = make_config()
    assert parse_unit("c:1:4", config) == ("c", 1, 4)
    for wrong in ("c:2:0", "c:0:5", "z:0:0", "c:0", "", "c:-1:0", "c:0:x"):
        with pytest.raises(ConfigError, match="needs c"):
            parse_unit(wrong, config)


def test_progress_is_told_with_what_it_is_about():
    def steps():
        yield 1
        yield 2
        return "done"

    run = told("x", 2, steps())
    assert [(p.what, p.done, p.total) for p in (next(run), next(run))] == [("x", 1, 2), ("x", 2, 2)]
    with pytest.raises(StopIteration, match="done"):
        next(run)


def shortened(model, size):
    """Return the planted model and the beginning of its text."""
    stored = read_model(model / "model")
    text = open_text(stored, [str(model / "text")])
    return stored, replace(text, ids=text.ids[:size])


def test_a_text_under_two_thousand_tokens_is_refused(model):
    with pytest.raises(CorpusError, match=r"1999 tokens.*2000"):
        finish(measure_cells(*shortened(model, 1999)))


@pytest.mark.slow
def test_of_a_short_text_planted_cells_are_found_with_a_warning_of_wide_intervals(model):
    found = finish(measure_cells(*shortened(model, 5200), budget=FAST))
    grades = {row.feature.name: row.grade for row in found.rows}
    assert grades["in_braces"] == "B"
    assert any("intervals are wide" in warning for warning in found.warnings)


@pytest.mark.slow
def test_too_few_blocks_give_no_interval_and_so_no_grade_above_c(model):
    found = finish(measure_cells(*shortened(model, 3000), budget=FAST))
    assert {row.grade for row in found.rows} <= {"C", None}
    assert all(np.isnan(row.judged.score.low) for row in found.rows)
    assert any("no unit can have grade A or B" in warning for warning in found.warnings)
    smallest = min(row.holm_p for row in found.rows)
    floor = len(found.rows) / (found.halves.a.stop - found.halves.a.start)
    assert (floor > 0.01) == any("few shifts" in warning for warning in found.warnings)
    assert smallest >= floor * 0.99


@pytest.mark.slow
def test_features_that_share_a_unit_are_shown_at_different_places(model):
    stored, text = shortened(model, 9000)
    found = finish(measure_cells(stored, text, budget=FAST))
    row = found.rows[0]
    excerpts = excerpts_of(found, [row, row, row], stored.tokenizer)
    starts = sorted(one.start for one in excerpts)
    assert all(later - before >= 200 for before, later in pairwise(starts))
    assert excerpts[0] == excerpt_of(found, row, stored.tokenizer)
    taken = range(found.halves.b.start, found.halves.b.stop)  # no place is left
    assert excerpt_of(found, row, stored.tokenizer, taken) == excerpts[0]


@pytest.mark.slow
def test_the_view_writes_json_alone_with_a_row_for_each_feature(model):
    arguments = ["cells", "-m", model / "model", model / "text", "--budget", "fast"]
    value = json_of([*arguments, "--feature", r"twice=aa+"], RESULT)
    rows = {row["feature"]: row for row in value["result"]["features"]}
    assert len(rows) == 24
    assert rows["in_braces"]["grade"] == "B"
    assert rows["in_braces"]["auc"] == 1
    assert rows["twice"]["unit"] is not None
    assert rows["is_upper"]["unit"] is None
    assert "in_braces" in value["result"]["excerpts"]


@pytest.mark.slow
def test_the_table_fits_the_terminal(model):
    for columns in (40, 80, 200):
        arguments = ["cells", "-m", model / "model", model / "text", "--budget", "fast"]
        shown = drawing_of(arguments, columns)
        assert "in_braces" in shown
        assert "c:0:2" in shown
        assert ("untrained" in shown.splitlines()[0]) == (columns == 200)


def test_every_estimate_of_a_unit_has_an_interval_around_it(found):
    details = to_result(found, tokenizer_of())["details"]
    for name in ("line_position", "in_double_quotes"):
        row = details[name]
        names = ["score", "memory_r2", "r2", "spearman", "probe"]
        names += ["balanced_accuracy"] if row["kind"] == "binary" else []
        assert all(row[key]["low"] <= row[key]["mean"] <= row[key]["high"] for key in names)
    clamp = details["in_braces"]["cause"]["clamp"]
    assert 4 < clamp["low"] <= clamp["mean"] <= clamp["high"]


@pytest.mark.parametrize(("columns", "ends"), [(70, 0), (80, 1), (110, 1), (150, 4)])
def test_a_wider_table_has_more_intervals(found, capsys, columns, ends):
    show_cells(found, tokenizer_of(), width=columns)
    row = next(line for line in capsys.readouterr().out.splitlines() if " A " in f"{line} ")
    assert row.startswith("in_braces")
    assert len(re.findall(r"\d[-,] ?[+-]?\d", row)) == ends
