"""How far back planted networks look: sources and weights whose answers are known."""

import math

import numpy as np
import pytest
from viewing import INTERVAL, drawing_of, json_of

import charrnn
from charrnn.config import ModelConfig
from charrnn.errors import CorpusError
from charrnn.model import LanguageModel
from charrnn.modeldir import read_model, weight_shapes
from charrnn.views.closers import find_closers, measure_closers
from charrnn.views.envelope import Inspected, open_text, validation_part
from charrnn.views.horizon import LENGTHS, Point, horizon_of, measure_horizon, nats_after
from charrnn.views.intervals import Interval
from charrnn.views.lags import measure_lags, summarize
from charrnn.views.memory import Memory, looks_beyond, measure_memory, sentence
from charrnn.views.places import choose_places

LAG, PERIOD = 8, 16
FULL = 30.0  # a saturated gate's input
CURVE = {
    "type": "array",
    "minItems": len(LENGTHS),
    "items": {"type": "object", "required": ["n", "delta"], "properties": {"delta": INTERVAL}},
}
PART = {
    "type": "object",
    "required": ["part", "gradients", "slope", "reach", "reach_ends"],
    "additionalProperties": False,
    "properties": {
        "part": {"enum": ["h", "c"]},
        "gradients": {"type": "array", "items": INTERVAL},
        "slope": {"anyOf": [INTERVAL, {"type": "null"}]},
        "reach": {"type": ["integer", "null"]},
        "reach_ends": {"type": ["array", "null"], "minItems": 2, "maxItems": 2},
    },
}
RESULT = {
    "horizon": {"type": ["integer", "null"]},
    "points": CURVE,
    "control": CURVE,
    "closers": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["low", "high", "count", "model", "ngram"],
            "properties": {"model": INTERVAL, "ngram": {"anyOf": [INTERVAL, {"type": "null"}]}},
        },
    },
    "ngram": {"type": ["integer", "null"]},
    "gradients": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["name", "cell_type", "parts"],
            "properties": {"parts": {"type": "array", "items": PART}},
        },
    },
    "sentence": {"type": "string"},
}


def inspected(ids, bos_id=None):
    return Inspected(np.array(ids), bos_id, 0, None, None, "text")


def planted(config, **weights):
    """Return a network with these weights and zeros elsewhere."""
    model = LanguageModel(config)
    zeros = {name: np.zeros(shape) for name, shape in weight_shapes(config).items()}
    model.load_weights(zeros | {name.replace("__", "."): w for name, w in weights.items()})
    return model.eval().requires_grad_(False)


def recall_source(num_periods, seed=0):
    """Return ids: 0 or 1 at place 0 of each period and again at LAG; else 2j or 2j + 1 at j."""
    rng = np.random.default_rng(seed)
    rows = 2 * np.arange(PERIOD) + rng.integers(0, 2, (num_periods, PERIOD))
    rows[:, LAG] = rows[:, 0]
    return rows.ravel()


def recall_network():
    """Return an LSTM that predicts the recall source as well as can be.

    Unit s < 2 PERIOD says whether s was the last token; the last unit keeps whether 0 or 1 came,
    and shows it only where the next token is the one at LAG.
    """
    vocab, units = 2 * PERIOD, 2 * PERIOD + 1
    config = ModelConfig(vocab, embedding_size=0, hidden_size=units, num_layers=1)
    weight, bias = np.zeros((4, units, vocab)), np.zeros((4, units))
    i, f, g, o = range(4)
    bias[i, :-1], bias[f, :-1], bias[o, :-1] = FULL, -FULL, FULL
    weight[g, np.arange(vocab), np.arange(vocab)] = FULL
    bias[i, -1], weight[i, -1, :2] = -FULL, 2 * FULL
    bias[f, -1], weight[f, -1, :2] = FULL, -2 * FULL
    weight[g, -1, 0], weight[g, -1, 1] = FULL, -FULL
    bias[o, -1], weight[o, -1, 2 * (LAG - 1) : 2 * LAG] = -FULL, 2 * FULL
    output = np.zeros((vocab, units))
    for token in range(vocab):
        place = token // 2
        following = 0 if place + 1 in (LAG, PERIOD) else place + 1
        if token < 2:  # after it comes place 1, or the place behind LAG: both are left open
            output[[2, 3, 2 * (LAG + 1), 2 * (LAG + 1) + 1], token] = FULL
        else:
            output[2 * following : 2 * following + 2, token] = FULL
    output[0, -1], output[1, -1] = FULL, -FULL
    return planted(
        config,
        recurrent__weight_ih_l0=weight.reshape(4 * units, vocab),
        recurrent__bias_ih_l0=bias.ravel(),
        output__weight=output,
    )


@pytest.mark.slow
def test_the_recall_source_steps_at_its_lag_by_one_bit_a_period():
    text, model = inspected(recall_source(1500)), recall_network()
    points = list(measure_horizon(model, text, choose_places(text, 1024, 512), "zeroed"))
    assert [point.n for point in points] == list(LENGTHS)
    assert points[0].delta.mean > 1
    for point in points[1:]:
        if point.n < LAG:
            assert point.delta.low < 1 / PERIOD < point.delta.high
        else:
            assert abs(point.delta.mean) < 1e-6
    assert horizon_of(points) == LAG


@pytest.mark.slow
def test_swapped_context_misleads_where_zeroed_only_hides():
    text, model = inspected(recall_source(1500)), recall_network()
    places = choose_places(text, 1024, 512)
    points = list(measure_horizon(model, text, places, "swapped"))
    zeroed = list(measure_horizon(model, text, places, "zeroed"))
    assert points[2].delta.mean > 3 * zeroed[2].delta.mean  # half of the cues are wrong ones
    assert abs(points[LENGTHS.index(LAG)].delta.mean) < 1e-6


def test_a_network_that_sees_two_tokens_is_flat_after_two():
    vocab = 5
    config = ModelConfig(
        vocab, embedding_size=0, hidden_size=2 * vocab, num_layers=1, cell_type="rnn"
    )
    shift = np.zeros((2 * vocab, 2 * vocab))
    shift[vocab:, :vocab] = np.eye(vocab)
    rng = np.random.default_rng(1)
    model = planted(
        config,
        recurrent__weight_ih_l0=np.vstack([np.eye(vocab), np.zeros((vocab, vocab))]),
        recurrent__weight_hh_l0=shift,
        output__weight=3 * rng.normal(size=(vocab, 2 * vocab)),
    )
    text = inspected(rng.integers(0, vocab, 5000))
    points = list(measure_horizon(model, text, choose_places(text, 300, 512), "zeroed"))
    lost = {point.n: point.delta for point in points}
    assert abs(lost[1].mean) > 0.05
    assert all(lost[n] == (0, 0, 0) for n in LENGTHS[2:])


def test_ragged_reading_equals_reading_one_row_alone():
    model = LanguageModel(ModelConfig(6, hidden_size=7, embedding_size=3, num_layers=2))
    model.reset(3)
    rng = np.random.default_rng(2)
    ids = np.concatenate([[5, *rng.integers(0, 5, size)] for size in (3, 200, 90, 1)])
    text = inspected(ids, bos_id=5)
    places = choose_places(text, 1000, 0)
    assert len(places.targets) == 294
    assert (ids[places.targets] != 5).all()
    found = nats_after(model.eval(), text.ids, places, 80, None)
    import torch

    for row in range(0, 294, 7):
        target, start = places.targets[row], places.starts[row]
        assert ids[start] == 5
        read = torch.from_numpy(ids[max(start, target - 80) : target])[:, None]
        with torch.no_grad():
            log_p = model(read)[0][-1, 0].log_softmax(-1)
        assert found[row] == pytest.approx(-float(log_p[ids[target]]), abs=1e-5)


def test_a_document_begins_from_zero_also_where_older_text_is_swapped():
    model = LanguageModel(ModelConfig(6, hidden_size=7, embedding_size=3, num_layers=1))
    model.reset(3)
    rng = np.random.default_rng(2)
    ids = np.concatenate([[5, *rng.integers(0, 5, 30)] for _ in range(50)])
    text = inspected(ids, bos_id=5)
    places = choose_places(text, 200, 0)
    lost = {p.n: p.delta for p in measure_horizon(model.eval(), text, places, "swapped")}
    assert lost[32] == lost[512] == (0, 0, 0)
    assert lost[2].mean != 0


def test_a_linear_networks_gradient_falls_by_the_spectral_radius():
    size, vocab, rho = 12, 4, 0.93
    rng = np.random.default_rng(5)
    rotation = np.linalg.qr(rng.normal(size=(size, size)))[0]
    config = ModelConfig(
        vocab,
        embedding_size=0,
        hidden_size=size,
        num_layers=1,
        cell_type="rnn",
        nonlinearity="relu",
    )
    model = planted(
        config,
        recurrent__weight_ih_l0=0.1 * rng.normal(size=(size, vocab)),
        recurrent__weight_hh_l0=rho * rotation,
        recurrent__bias_ih_l0=(np.eye(size) - rho * rotation) @ np.full(size, 10.0),
        output__weight=rng.normal(size=(vocab, size)),
    )
    (lags,) = measure_lags(model, inspected(rng.integers(0, vocab, 3000)), 60, 40)
    assert lags.slope.mean == pytest.approx(math.log(rho), rel=0.01)
    assert lags.slope.low <= lags.slope.mean <= lags.slope.high
    means = np.array([gradient.mean for gradient in lags.gradients])
    np.testing.assert_allclose(means[1:] / means[:-1], rho, rtol=1e-4)
    assert lags.reach is None  # 0.93^59 is above 1%
    assert lags.reach_ends == (61, None)  # further than the 60 lags that are seen


def leaky_network():
    config = ModelConfig(4, embedding_size=0, hidden_size=6, num_layers=1)
    rng = np.random.default_rng(6)
    bias = np.zeros((4, 6))
    bias[1] = math.log(9)  # sigmoid: 0.9
    weight = rng.normal(size=(4, 6, 4))
    weight[1] = 0
    return planted(
        config,
        recurrent__weight_ih_l0=weight.reshape(24, 4),
        recurrent__bias_ih_l0=bias.ravel(),
        output__weight=rng.normal(size=(4, 6)),
    )


def test_a_cell_that_forgets_a_tenth_passes_nine_tenths_of_the_gradient():
    text = inspected(np.random.default_rng(7).integers(0, 4, 3000))
    hidden, cell = measure_lags(leaky_network(), text, 70, 30)
    means = np.array([gradient.mean for gradient in cell.gradients])
    assert np.isnan(means[0])  # the prediction sees c through h only
    np.testing.assert_allclose(means[2:] / means[1:-1], 0.9, rtol=1e-4)
    assert cell.slope.mean == pytest.approx(math.log(0.9), rel=1e-3)
    assert cell.reach == 2 + math.ceil(math.log(0.01) / math.log(0.9))
    assert cell.reach_ends[0] <= cell.reach <= cell.reach_ends[1]
    assert hidden.gradients[1].mean == 0  # nothing recurs through h
    assert hidden.reach == 2


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "peephole"])
def test_the_gradients_are_those_of_finite_differences(cell):
    import torch

    config = ModelConfig(5, hidden_size=4, embedding_size=3, num_layers=2, cell_type=cell)
    model = LanguageModel(config)
    model.reset(2)
    model = model.double().eval().requires_grad_(False)
    ids = np.random.default_rng(8).integers(0, 5, 40)
    places = choose_places(inspected(ids), 1, 12)
    from charrnn.views.lags import lag_norms

    norms = lag_norms(model, inspected(ids), places, 6)
    target = int(places.targets[0])
    tokens = torch.from_numpy(ids.astype(np.int64))[:, None]
    lag = 4
    _, state = model(tokens[: target - lag + 1])

    def nats(parts):
        logits, _ = model(tokens[target - lag + 1 : target], parts)
        return -float(logits[-1, 0].log_softmax(-1)[ids[target]])

    for part, norm in enumerate(norms):
        slopes = []
        for place in np.ndindex(*state[part].shape):
            moved = [[p.clone() for p in state] for _ in range(2)]
            moved[0][part][place] += 1e-5
            moved[1][part][place] -= 1e-5
            slopes.append((nats(tuple(moved[0])) - nats(tuple(moved[1]))) / 2e-5)
        assert norm[0, lag - 1] == pytest.approx(np.linalg.norm(slopes), rel=1e-5)


def test_brackets_nest_and_quotes_take_turns():
    assert find_closers(list('(a[b])"c"')) == [(2, 4), (0, 5), (6, 8)]
    assert find_closers(list("a)b(")) == []
    assert find_closers(list("([)]")) == []
    assert find_closers(list('"a\n\n"b"')) == [(4, 6)]
    assert find_closers(["( ", "word ", ") "]) == [(0, 2)]


def test_closers_are_binned_by_distance():
    text = "(a)" + "(" + "b" * 40 + ")"
    nats = np.full(len(text), np.log(2))
    near, far = measure_closers(list(text), nats, 2 * nats)
    assert (near.low, near.high, near.count) == (1, 3, 1)
    assert (far.low, far.high, far.count) == (32, 63, 1)
    assert far.model.mean == pytest.approx(0.5)
    assert far.ngram.mean == pytest.approx(0.25)


def test_places_are_spread_and_have_enough_before_them():
    text = inspected(np.zeros(10_000))
    places = choose_places(text, 100, 512)
    assert len(places.targets) == 100
    assert places.targets[0] >= 512
    assert (np.diff(places.targets) > 0).all()
    assert np.diff(places.targets).max() < 200
    with pytest.raises(CorpusError, match="longer"):
        choose_places(text, 100, 10_000)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("memory")
    text = "".join(f'{i} (and {i % 5}): "[x/]" \x1b[2J\n' for i in range(300))
    (folder / "text.txt").write_text(text)
    for name, cell in (("run", "lstm"), ("gru", "gru")):
        sizes = {"hidden_size": 9, "embedding_size": 5, "num_layers": 1, "cell": cell}
        list(
            charrnn.train(
                folder / "text.txt", output=folder / name, max_steps=20, threads=1, **sizes
            )
        )
    return folder


@pytest.mark.slow
def test_json_follows_the_schema(run):
    arguments = ["memory", "-m", run / "run", "--targets", 40, "--lags", 10]
    result = json_of([*arguments, "--versus", run / "gru"], RESULT)["result"]
    assert [one["name"] for one in result["gradients"]] == ["run", "untrained", "gru"]
    assert [len(one["parts"]) for one in result["gradients"]] == [2, 2, 1]
    assert all(len(p["gradients"]) == 10 for one in result["gradients"] for p in one["parts"])
    assert sum(one["count"] for one in result["closers"]) > 10
    json_of([*arguments, "--older", "swapped"], RESULT)


def test_the_last_report_is_the_result(run):
    stored = read_model(run / "run")
    *reports, found = measure_memory(stored, validation_part(stored), num_targets=30, num_lags=5)
    assert isinstance(found, Memory)
    assert [report.done for report in reports] == list(range(1, len(reports) + 1))
    assert reports[-1].done == reports[-1].total
    assert sentence(found).count(".") >= 2


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_drawing_fits_the_terminal(run, columns):
    arguments = ["memory", "-m", run / "run", "--targets", 20, "--lags", 12]
    drawn = drawing_of([*arguments, "--versus", run / "gru"], columns)
    assert "untrained" in drawn


def test_what_a_short_text_cannot_tell_is_not_claimed(run, tmp_path):
    (tmp_path / "short").write_text("12 (and 3): " * 20)
    stored = read_model(run / "run")
    text = open_text(stored, [str(tmp_path / "short")])
    *_, found = measure_memory(stored, text, num_targets=30, num_lags=5)
    assert found.horizon is None
    assert not looks_beyond(found)
    assert "cannot be told" in sentence(found)
    assert "nan" not in sentence(found)


def test_a_horizon_lies_within_what_the_text_has_before_its_targets():
    points = [Point(n, Interval(0.0, 0.0, 0.0 if n >= 64 else 1.0)) for n in LENGTHS]
    assert horizon_of(points) == 64
    assert horizon_of(points, 100) == 64
    assert horizon_of(points, 63) is None  # no target has 64 tokens before it


@pytest.mark.slow
def test_slope_and_reach_have_intervals_that_hold_the_truth():
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(40):
        sizes = np.exp(rng.normal(size=(60, 1)) + 0.3 * rng.normal(size=(60, 40)))
        found = summarize("h", sizes * 0.85 ** np.arange(40), np.arange(60))
        held += found.slope.low < math.log(0.85) < found.slope.high
        low, high = found.reach_ends
        assert low <= found.reach <= high
        assert low - 6 < 1 + math.log(0.01) / math.log(0.85) < high + 6  # lag 1 may be odd
    assert held >= 32
