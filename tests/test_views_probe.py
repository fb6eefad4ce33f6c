"""The classifier beside its conditions of optimality, and probes whose answers are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from model_directories import make_model
from viewing import INTERVAL, drawing_of, json_of

from charrnn.errors import CorpusError
from charrnn.modeldir import read_model
from charrnn.views.intervals import Interval
from charrnn.views.labelled import (
    Encoder,
    Labelled,
    positive_label,
    read_labelled,
    split,
    text_states,
)
from charrnn.views.logistic import best_threshold, choose, fit, naive_bayes, wilson
from charrnn.views.memory import load_network
from charrnn.views.probe import Probe, load_parts, measure_probe, sentence

NAMES = ("accuracy", "majority", "words", "untrained", "shuffled", "threshold")
RESULT = {
    **dict.fromkeys(NAMES, INTERVAL),
    "strength": {"type": "number"},
    "num_used": {"type": "integer"},
    "unit": {"type": "string", "pattern": "^[ch]:[0-9]+:[0-9]+$"},
    "few": {"type": "object", "additionalProperties": INTERVAL},
    "positive": {"type": "string"},
    "sizes": {"type": "array", "minItems": 3, "maxItems": 3},
    "painted": {"type": "array", "items": {"required": ["label", "tokens", "values"]}},
    "sentence": {"type": "string"},
}


def noisy_data(size=400, units=12, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(size, units)) * rng.uniform(0.1, 5, units) + rng.normal(size=units)
    odds = 2 * (features[:, 3] - features[:, 3].mean()) / features[:, 3].std()
    return features, rng.random(size) < 1 / (1 + np.exp(-odds))


@pytest.mark.parametrize("strength", [2.0**-6, 2.0**-2, 4.0])
def test_the_fit_meets_the_conditions_of_the_optimum(strength):
    features, positive = noisy_data()
    model = fit(features, positive, strength)
    scaled = (features - model.center) / model.scale
    signs = np.where(positive, 1.0, -1.0)
    margins = signs * (scaled @ model.weights + model.intercept)
    slopes = -(scaled.T @ (signs / (1 + np.exp(margins))))
    assert abs((signs / (1 + np.exp(margins))).sum()) < 1e-2  # of the intercept
    used = model.weights != 0
    np.testing.assert_allclose(slopes[used], -np.sign(model.weights[used]) / strength, atol=0.02)
    assert (np.abs(slopes[~used]) <= 1 / strength + 0.02).all()


def test_a_strong_penalty_keeps_the_unit_that_knows():
    features, positive = noisy_data()
    model = fit(features, positive, 2.0**-5)
    assert np.flatnonzero(model.weights).tolist() == [3]
    chosen, strength = choose(features[:300], positive[:300], features[300:], positive[300:])
    assert (chosen(features) == positive).mean() > 0.75
    assert 2.0**-8 <= strength <= 1


def test_a_unit_that_never_moves_does_no_harm():
    features, positive = noisy_data()
    features[:, 5] = 7
    assert fit(features, positive, 1.0).weights[5] == 0


def test_wilsons_interval_is_the_published_one():
    found = wilson(8, 10)
    assert found.mean == 0.8
    assert found.low == pytest.approx(0.4902, abs=1e-4)
    assert found.high == pytest.approx(0.9433, abs=1e-4)
    assert wilson(0, 20).low == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_no_threshold_is_better_than_the_best(seed):
    rng = np.random.default_rng(seed)
    values, positive = rng.integers(0, 6, 15).astype(float), rng.random(15) < 0.5
    cut, above = best_threshold(values, positive)
    best = (((values > cut) == above) == positive).sum()
    for other in np.arange(-0.5, 7):
        for side in (True, False):
            assert (((values > other) == side) == positive).sum() <= best


def test_counted_words_tell_good_from_bad():
    texts = ["good film", "very good", "bad film", "so bad", "good bad"]
    flags = np.array([True, True, False, False, True])
    assert naive_bayes(texts, flags, ["good", "bad bad", "unseen"]).tolist() == [True, False, True]


def test_labelled_files_are_read_or_refused(tmp_path):
    path = tmp_path / "data.tsv"
    path.write_text("".join(f"{i % 2}\ttext {i}\twith tab\r\n" for i in range(12)) + "\n")
    found = read_labelled(str(path))
    assert found.texts[3] == "text 3\twith tab"
    assert positive_label([found]) == "1"
    assert found.positive("1").sum() == 6
    path.write_text("1\tone\nno tab\n")
    with pytest.raises(CorpusError, match="line 2: no tab"):
        read_labelled(str(path))
    path.write_text("1\tone\n")
    with pytest.raises(CorpusError, match="at least 10"):
        read_labelled(str(path))
    with pytest.raises(CorpusError, match="3 labels"):
        positive_label([Labelled(["x"] * 3, ["a", "b", "c"])])


def test_a_split_is_a_partition():
    whole = Labelled([str(i) for i in range(50)], ["a"] * 50)
    parts = split(whole, (0.8, 0.1, 0.1), seed=3)
    assert [len(part.texts) for part in parts] == [40, 5, 5]
    assert sorted(text for part in parts for text in part.texts) == sorted(whole.texts)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Texts whose label is whether the last letter is an `o`."""
    folder = tmp_path_factory.mktemp("probe")
    for cell in ("lstm", "gru"):
        make_model(folder / cell, cell_type=cell, hidden_size=6)
    rng = np.random.default_rng(8)
    lines = []
    for _ in range(300):
        text = "".join(rng.choice(list("ehl "), rng.integers(0, 30))) + rng.choice(["o", "e"])
        lines.append(f"{'yes' if text.endswith('o') else 'no'}\t{text}\n")
    (folder / "data.tsv").write_text("".join(lines))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("kind", ["c", "h", "mean"])
def test_states_are_those_after_each_text_alone(files, cell, kind):
    stored = read_model(files / cell)
    network, encoder = load_network(stored), Encoder(stored)
    texts = ["hello", "", "eeh lo" * 300, "x", "he\nllo"]
    found = dict(text_states(network, encoder, texts, kind))
    assert sorted(found) == list(range(5))
    np.testing.assert_allclose(found[0], found[4], atol=1e-5)  # the first token is left out
    np.testing.assert_allclose(found[1], found[3], atol=1e-5)  # and so is what is unknown
    for index in (0, 2):
        ids = torch.from_numpy(encoder(texts[index]))[:, None]
        states, state = [], None
        for token in ids:
            state = network.run_layers(token[None], state)[1]
            states.append(state[0 if kind == "h" else -1][:, 0].flatten())
        expected = torch.stack(states).mean(0) if kind == "mean" else states[-1]
        np.testing.assert_allclose(found[index], expected, atol=1e-4)


def test_a_label_in_the_state_is_read_and_a_shuffled_one_is_not(files):
    stored = read_model(files / "lstm")
    parts = load_parts(str(files / "data.tsv"), None, None, 0)
    assert [len(part.texts) for part in parts] == [240, 30, 30]
    *_, found = measure_probe(stored, parts)
    assert isinstance(found, Probe)
    assert found.accuracy.mean > 0.9
    assert found.untrained.mean > 0.8  # the last letter is in any state
    assert found.shuffled.mean < 0.9
    assert found.majority.mean < 0.7
    assert found.positive == "yes"
    assert list(found.few) == [1, 2, 4, 8]
    assert "counted words" in sentence(found)
    assert {painted.label for painted in found.painted} == {"yes", "no"}
    assert all(len(p.tokens) == len(p.values) for p in found.painted)


def test_dev_and_test_may_be_files_of_their_own(files, tmp_path):
    lines = (files / "data.tsv").read_text().splitlines(keepends=True)
    (tmp_path / "dev.tsv").write_text("".join(lines[:20]))
    parts = load_parts(str(files / "data.tsv"), str(tmp_path / "dev.tsv"), None, 0)
    assert [len(part.texts) for part in parts] == [267, 20, 33]


def test_json_follows_the_schema(files):
    arguments = ["probe", files / "data.tsv", "-m", files / "gru", "--state", "h"]
    result = json_of(arguments, RESULT)["result"]
    assert result["sizes"] == [240, 30, 30]
    assert result["unit"].startswith("h:")


@pytest.mark.slow
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_drawing_fits_the_terminal(files, columns):
    assert "majority" in drawing_of(["probe", files / "data.tsv", "-m", files / "lstm"], columns)


def test_more_than_the_controls_is_more_than_their_intervals_allow(files):
    stored = read_model(files / "lstm")
    *_, found = measure_probe(stored, load_parts(str(files / "data.tsv"), None, None, 0))
    low = Interval(0.5, 0.4, 0.6)
    sure = replace(found, accuracy=Interval(0.9, 0.8, 0.95), untrained=low, majority=low)
    assert "more than training on nothing gives" in sentence(sure)
    near = replace(sure, untrained=Interval(0.75, 0.7, 0.81))
    assert "not surely more" in sentence(near)
