"""What an input did for a prediction, beside finite differences and planted networks."""

import math

import numpy as np
import pytest
from test_views_memory import LAG, PERIOD, inspected, recall_network, recall_source
from viewing import INTERVAL, drawing_of, json_of

import charrnn
from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.model import LanguageModel
from charrnn.views.saliency import Judge, window_of

FLOATS = {"type": "array", "items": {"type": "number"}}
RESULT = {
    "target": {"type": "integer"},
    "first": {"type": "integer"},
    **{name: {"type": "number"} for name in ("log_p", "baseline", "control")},
    **dict.fromkeys(("grad", "grad_input", "integrated"), FLOATS),
    "swap": {"type": "array", "items": INTERVAL},
    "tokens": {"type": "array", "items": {"type": "string"}},
    "target_token": {"type": "string"},
    "sentence": {"type": "string"},
}


def judge_of(cell, embedding_size=3):
    config = ModelConfig(
        5, hidden_size=6, embedding_size=embedding_size, num_layers=2, cell_type=cell
    )
    model = LanguageModel(config)
    model.reset(4)
    model = model.double().eval().requires_grad_(False)
    return Judge(model, np.random.default_rng(3).integers(0, 5, 30).astype(np.int64))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "peephole"])
def test_gradients_are_those_of_finite_differences(cell):
    judge = judge_of(cell)
    norms, products, value = judge.gradients(12)
    state = judge.state_before(12)
    inputs = judge.model.embed(judge.tokens[-12:])
    assert value == pytest.approx(float(judge.log_p(inputs, state)))
    for place in (0, 5, 11):
        slopes = []
        for unit in range(3):
            up, down = inputs.clone(), inputs.clone()
            up[place, 0, unit] += 1e-5
            down[place, 0, unit] -= 1e-5
            slopes.append(float(judge.log_p(up, state) - judge.log_p(down, state)) / 2e-5)
        assert norms[place] == pytest.approx(np.linalg.norm(slopes), rel=1e-5)
        assert products[place] == pytest.approx(inputs[place, 0].numpy() @ slopes, rel=1e-4)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "peephole"])
@pytest.mark.parametrize("embedding_size", [0, 3])
def test_integrated_gradients_sum_to_the_gain_over_inputs_of_zero(cell, embedding_size):
    judge = judge_of(cell, embedding_size)
    integrated, baseline = judge.integrated(12)
    gain = judge.gradients(12)[2] - baseline
    assert abs(gain) > 1e-3
    assert integrated.sum() == pytest.approx(gain, rel=1e-4)


def test_the_source_of_a_recall_is_what_mattered():
    ids = recall_source(20, seed=5).astype(np.int64)
    place = 10 * PERIOD + LAG
    judge = Judge(recall_network(), ids[: place + 1])
    falls = judge.swaps(40, np.bincount(ids, minlength=2 * PERIOD), seed=1).mean(0)
    assert np.argsort(-falls)[:2].tolist() == [40 - LAG, 39]  # what to recall, and the place
    source = int(ids[place - LAG])
    assert source == ids[place]
    counts = np.zeros(2 * PERIOD, dtype=np.int64)
    counts[:2] = 1  # redrawn as 0 or 1: half of the draws are the other one
    falls = judge.swaps(40, counts, seed=1)[:, 40 - LAG]
    assert set(np.round(np.unique(falls[falls > 1]) / 30, 1)) <= {1.5}
    assert 6 <= (falls > 1).sum() <= 26


def test_a_redraw_of_the_same_token_changes_nothing():
    judge = judge_of("gru")
    counts = np.zeros(5, dtype=np.int64)
    counts[judge.ids[-7]] = 1
    falls = judge.swaps(12, counts, seed=0)
    assert falls.shape == (32, 12)
    assert np.abs(falls[:, 12 - 7]).max() < 1e-12
    assert np.abs(falls).max() > 1e-4


def test_the_window_stays_in_the_text_and_in_its_document():
    text = inspected(np.zeros(3000))
    assert window_of(text, None, 100) == (2999, 2899, 1875)
    assert window_of(text, -10, 5) == (2990, 2985, 1961)
    assert window_of(text, 7, 100) == (7, 0, 0)
    documents = inspected([9, 1, 2, 9, 3, 4], bos_id=9)
    assert window_of(documents, 5, 100) == (5, 3, 3)
    for at in (0, 3, 6, -6):
        with pytest.raises(ConfigError, match="--at"):
            window_of(documents, at, 10)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saliency")
    text = "".join(f"{i} and {i % 5}: [x/] \x1b[2J\n" for i in range(300))
    (folder / "text.txt").write_text(text)
    sizes = {"hidden_size": 9, "embedding_size": 5, "num_layers": 1}
    list(
        charrnn.train(folder / "text.txt", output=folder / "run", max_steps=20, threads=1, **sizes)
    )
    return folder / "run"


def test_json_follows_the_schema(run):
    result = json_of(["saliency", "-m", run, "--at", 300, "--back", 25], RESULT)["result"]
    assert (result["first"], result["target"]) == (275, 300)
    assert len(result["swap"]) == len(result["grad"]) == len(result["tokens"]) == 25
    assert math.isclose(
        sum(result["integrated"]), result["log_p"] - result["baseline"], rel_tol=0.01
    )


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_drawing_fits_and_obeys_nothing_foreign(run, columns):
    assert "target" in drawing_of(["saliency", "-m", run, "--back", "30"], columns)
