"""Ablation of networks in which it is known what each unit is for."""

import numpy as np
import pytest
import torch
from model_directories import make_model
from test_views_memory import LAG, PERIOD, inspected, recall_network, recall_source
from viewing import INTERVAL, drawing_of, json_of

from charrnn.config import ModelConfig
from charrnn.model import LanguageModel
from charrnn.views.ablate import (
    ablated_nats,
    make_streams,
    measure_ablation,
    screen,
    sentence,
    state_means,
    unit_rows,
)
from charrnn.views.intervened import intervened_nats

UNITS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["unit", "estimate", "delta"],
        "properties": {
            "unit": {"type": "string", "pattern": "^[ch]:[0-9]+:[0-9]+$"},
            "delta": INTERVAL,
        },
    },
}
RESULT = {
    "rows": UNITS,
    "control": UNITS,
    "chance": {"type": ["number", "null"]},
    "all_units": INTERVAL,
    "num_targets": {"type": "integer"},
    "sentence": {"type": "string"},
}


def network_of(cell, nonlinearity="tanh"):
    config = ModelConfig(
        5,
        hidden_size=4,
        embedding_size=3,
        num_layers=2,
        cell_type=cell,
        nonlinearity=nonlinearity,
    )
    model = LanguageModel(config)
    generator = torch.Generator().manual_seed(6)
    for parameter in model.parameters():
        parameter.data.normal_(generator=generator)
    return model.double().eval().requires_grad_(False)


def random_tokens(steps=20, size=3):
    return torch.from_numpy(np.random.default_rng(4).integers(0, 5, (2, steps, size)))


CELLS = [("lstm", "tanh"), ("gru", "tanh"), ("rnn", "tanh"), ("rnn", "relu"), ("peephole", "tanh")]


@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_without_a_pull_the_steps_are_the_network(cell, nonlinearity):
    network, (tokens, targets) = network_of(cell, nonlinearity), random_tokens()
    state = network.recurrent.zero_state(3)
    none = [torch.zeros(1, 4, dtype=torch.float64)] * 2
    found = intervened_nats(network, tokens, targets, state, none, none)
    log_p = network(tokens)[0].log_softmax(-1)
    torch.testing.assert_close(found, -log_p.gather(2, targets[..., None])[..., 0])


@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_the_screen_is_the_slope_of_a_small_pull(cell, nonlinearity):
    network, (tokens, targets) = network_of(cell, nonlinearity), random_tokens()
    from charrnn.views.ablate import Streams

    streams = Streams(tokens, targets, network.recurrent.zero_state(3))
    means = [torch.linspace(-0.4, 0.5, 4, dtype=torch.float64)] * 2
    found = screen(network, streams, means)
    for layer, unit in ((0, 1), (1, 3)):
        alphas = torch.zeros(2, 1, 4, dtype=torch.float64)
        sums = []
        for step in (1e-6, -1e-6):
            alphas[layer, 0, unit] = step
            nats = intervened_nats(network, tokens, targets, streams.state, list(alphas), means)
            sums.append(float(nats.mean()))
        slope = (sums[0] - sums[1]) / 2e-6 / np.log(2)
        assert found[layer, unit] == pytest.approx(slope, rel=1e-4, abs=1e-8)


def test_a_unit_that_is_held_is_seen_nowhere():
    network, (tokens, targets) = network_of("lstm"), random_tokens()
    state = network.recurrent.zero_state(3)
    means = [torch.full((4,), 0.2, dtype=torch.float64)] * 2
    alphas = torch.zeros(2, 1, 4, dtype=torch.float64)
    alphas[0, 0, 2] = 1
    before = intervened_nats(network, tokens, targets, state, list(alphas), means)
    for name in ("weight_ih_l0", "weight_hh_l0"):
        parameter = network.recurrent.get_parameter(name)
        parameter.data[2] += 3  # what would open its input gate
        parameter.data[6] -= 3
    after = intervened_nats(network, tokens, targets, state, list(alphas), means)
    torch.testing.assert_close(before, after)


def test_without_its_latch_the_recall_network_loses_one_bit_a_period():
    text, network = inspected(recall_source(400)), recall_network()
    means, streams = state_means(network, text), make_streams(network, text, 0)
    base = ablated_nats(network, streams, means, [])[0]
    latch, place = 2 * PERIOD, 2 * (LAG - 1)
    changes = list(ablated_nats(network, streams, means, [latch, place]) - base)
    whole = changes[0].sum()  # the mean of the latch is not quite zero: a or b is favoured
    estimates = np.zeros(latch + 1)
    rows = unit_rows(network, np.array([latch, place]), estimates, [*changes, changes[0]])
    assert rows[0].unit == f"c:0:{latch}"
    at_lag = streams.targets.numpy() < 2
    known = at_lag & np.isclose(base, 0, atol=1e-3)
    assert np.abs(changes[0][~at_lag]).max() < 1e-6
    assert whole == pytest.approx(changes[0][known].sum(), abs=1e-3)
    assert known.sum() == pytest.approx(len(base.ravel()) / PERIOD, rel=0.1)
    assert rows[0].delta.mean > 0.8 / PERIOD
    assert rows[1].delta.mean == pytest.approx(0, abs=1e-6)  # the recall tells nothing of it here


def test_the_view_puts_what_costs_most_first(tmp_path):
    text = inspected(np.random.default_rng(3).integers(0, 9, 3000))
    make_model(tmp_path / "model", cell_type="gru", hidden_size=11)
    from charrnn.modeldir import read_model

    *reports, found = measure_ablation(read_model(tmp_path / "model"), text, num_units=9)
    assert reports[-1].done == reports[-1].total == 22
    assert len(found.rows) == 9
    assert len(found.control) == 13
    means = [row.delta.mean for row in found.rows]
    assert means == sorted(means, reverse=True)
    largest = min(abs(row.estimate) for row in found.rows)
    assert all(abs(row.estimate) <= largest for row in found.control)
    assert found.num_targets == 24 * 128
    assert sentence(found)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ablate")
    make_model(folder / "model")
    (folder / "text").write_text("hello\nhole <eh>" * 50)
    return folder


@pytest.mark.slow
def test_json_follows_the_schema(files):
    arguments = ["ablate", files / "text", "-m", files / "model"]
    result = json_of([*arguments, "--units", 4], RESULT)["result"]
    assert (len(result["rows"]), len(result["control"])) == (4, 6)
    result = json_of(arguments, RESULT)["result"]
    assert (len(result["rows"]), result["chance"]) == (10, None)


@pytest.mark.slow
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_drawing_fits_the_terminal(files, columns):
    assert "all units" in drawing_of(["ablate", files / "text", "-m", files / "model"], columns)


def test_where_no_unit_is_left_to_be_a_control_it_is_said(files):
    result = json_of(["ablate", files / "text", "-m", files / "model"], RESULT)["result"]
    assert (result["chance"], result["control"]) == (None, [])
    assert "nan" not in result["sentence"]
    assert "none is left to be a control" in result["sentence"]


def test_of_one_stream_it_cannot_be_said_which_unit_matters(files, tmp_path):
    (tmp_path / "short").write_text("hell")
    arguments = ["ablate", tmp_path / "short", "-m", files / "model", "--units", 4]
    result = json_of(arguments, RESULT)["result"]
    assert result["rows"][0]["delta"]["low"] is None
    assert "too short to say" in result["sentence"]
