"""States, gates and cells of a text: those of a slow loop, however the text is cut."""

from itertools import pairwise

import numpy as np
import planted
import pytest
import reference
import torch
from model_directories import make_config, make_weights

from charrnn.model import LanguageModel
from charrnn.views import recomputed, states
from charrnn.views.states import Piece, cut, group_pieces, run_states, unit_signals

KINDS = ("rnn", "lstm", "gru", "peephole")


def network_of(config, weights):
    network = LanguageModel(config)
    network.load_weights(weights)
    return network.eval()


def small(kind, scale=0.6, **changes):
    config = make_config(cell_type=kind, **changes)
    weights = {name: scale * value for name, value in make_weights(config, seed=3).items()}
    return config, weights, network_of(config, weights)


def whole(sections):
    """Return the signals of all sections in one, by layer."""
    sections = list(sections)
    return [
        {name: np.concatenate([s.layers[layer][name] for s in sections]) for name in found}
        for layer, found in enumerate(sections[0].layers)
    ]


@pytest.fixture
def narrow(monkeypatch):
    """Cut short texts as long ones are."""
    monkeypatch.setattr(states, "PIECE_TOKENS", 13)
    monkeypatch.setattr(states, "MAX_PIECES", 4)
    monkeypatch.setattr(states, "WARM_UP", 5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_states_are_those_of_a_slow_loop_in_float64(kind, narrow):
    config, weights, network = small(kind)
    ids = np.random.default_rng(1).integers(config.vocab_size, size=150).astype(np.uint8)
    found = whole(run_states(network, ids))
    for size in (1, 2, 40, 99, 150):
        _, slow = reference.run(kind, ids[:size], weights, config.num_layers)
        for layer, (h, c) in enumerate(slow):
            assert np.abs(found[layer]["h"][size - 1] - h).max() < 1e-4
            if "c" in found[layer]:
                assert np.abs(found[layer]["c"][size - 1] - c).max() < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_every_unit_has_the_signals_of_its_cell_type(kind):
    config, _, network = small(kind, num_layers=3)
    (section,) = run_states(network, np.array([1, 2, 3], np.uint8))
    assert (section.start, section.stop, len(section.layers)) == (0, 3, 3)
    for signals in section.layers:
        assert set(signals) == set(unit_signals(kind))
        assert {a.shape for a in signals.values()} == {(3, config.hidden_size)}


def test_gates_lie_between_0_and_1_and_a_gru_keeps_by_z():
    config, _, network = small("gru", num_layers=1)
    ids = np.random.default_rng(2).integers(config.vocab_size, size=60)
    (found,) = whole(run_states(network, ids))
    before = np.vstack([np.zeros(config.hidden_size), found["h"][:-1]])
    kept = (1 - found["z"]) * found["n"] + found["z"] * before
    assert np.abs(kept - found["h"]).max() < 1e-6
    assert 0 < found["r"].min() < found["r"].max() < 1


def test_a_cell_that_never_forgets_is_still_that_of_one_pass(narrow):
    config, weights = planted.planted_weights()
    network = network_of(config, weights)
    text = planted.planted_text(400, seed=5)
    ids = np.array([planted.SYMBOLS.index(char) for char in text], np.uint8)
    (found,) = whole(run_states(network, ids))
    (exact,) = whole(run_states(network, ids, exact=True))
    depth, position, latch, quote = planted.planted_cells(text)
    assert np.abs(found["c"] - exact["c"]).max() < 1e-4
    assert np.abs(found["c"][:, planted.DEPTH] - depth / 10).max() < 1e-4
    assert np.abs(found["c"][:, planted.POSITION] - position / 100).max() < 1e-4
    assert np.abs(found["c"][:, planted.LATCH] - 0.9 * latch).max() < 1e-4
    assert np.abs(found["c"][:, planted.QUOTE] - 0.9 * quote).max() < 1e-4
    assert np.allclose(found["f"][:, planted.LEAK], 0.9, atol=1e-5)


def test_the_rounding_of_a_cell_that_only_grows_does_not_add_up():
    config = make_config(embedding_size=0, hidden_size=32, num_layers=1)
    network = LanguageModel(config)
    network.reset(1)
    biases = network.recurrent.get_parameter("bias_ih_l0").data.view(4, 32)
    biases += torch.tensor([3.0, 12.0, 1.0, 0.0])[:, None]  # writes, keeps
    ids = torch.from_numpy(np.random.default_rng(2).integers(config.vocab_size, size=(6000, 1)))
    with torch.no_grad():
        _, (_, last) = network.run_layers(ids)
        zero = tuple(part[0] for part in network.recurrent.zero_state(1))
        found = recomputed.run_layer(network, 0, network.embed(ids), zero)
    assert last.max() > 1000
    assert (found["c"][-1] - last[0]).abs().max() < 0.02


def test_a_network_that_no_guess_fits_is_read_in_one_pass(narrow, monkeypatch):
    config, weights = planted.planted_weights()
    weights["recurrent.bias_ih_l0"].reshape(4, -1)[1, planted.POSITION] = 60  # counts for ever
    network = network_of(config, weights)
    ids = np.tile([3, 4, 5, 6], 100).astype(np.uint8)
    sizes = []
    plain = states.run_pieces

    def counted(network, ids, pieces, state):
        sizes.append(len(pieces))
        return plain(network, ids, pieces, state)

    monkeypatch.setattr(states, "run_pieces", counted)
    (found,) = whole(run_states(network, ids))
    assert sizes[:4] == [4, 3, 2, 1]
    assert set(sizes[4:]) == {1}
    counted_up = found["c"][:, planted.POSITION]
    assert np.abs(counted_up - np.arange(1, 401) / 100).max() < 1e-3


def test_each_document_starts_from_zero(narrow):
    _, _, network = small("lstm", scale=1.0)
    ids = np.array([0, 1, 2, 3, 0, 1, 2, 3, *[5] * 40, 0, 1, 2, 3], np.uint8)
    (_, top) = whole(run_states(network, ids, bos_id=0))
    assert np.abs(top["c"][0:4] - top["c"][4:8]).max() < 1e-6
    assert np.abs(top["c"][0:4] - top["c"][-4:]).max() < 1e-6
    (_, stream) = whole(run_states(network, ids))
    assert np.abs(stream["c"][0:4] - stream["c"][4:8]).max() > 1e-3


def test_pieces_hold_every_token_once_and_groups_stay_in_their_budget():
    ids = np.zeros(100, np.uint8)
    ids[[0, 30, 31]] = 7
    pieces = list(cut(ids, 7, 25))
    assert pieces[0].start == 0
    assert pieces[-1].stop == 100
    assert all(a.stop == b.start for a, b in pairwise(pieces))
    assert all(0 < p.stop - p.start <= 25 for p in pieces)
    assert [p.start for p in pieces if p.fresh] == [0, 30, 31]
    groups = list(group_pieces(iter(pieces), 3, 60))
    assert [piece for group in groups for piece in group] == pieces
    assert all(len(g) <= 3 and max(p.stop - p.start for p in g) * len(g) <= 60 for g in groups)
    assert Piece(0, 15, True) in pieces


def test_gates_that_do_not_explain_the_hidden_vectors_are_noticed():
    with pytest.raises(AssertionError, match="disagree"):
        recomputed.check(torch.zeros(2, 3), torch.full((2, 3), 2e-4))
    with pytest.raises(AssertionError, match="disagree"):
        recomputed.check(torch.full((2, 3), torch.nan), torch.zeros(2, 3))


def test_the_recall_source_repeats_its_symbol_at_the_lag():
    ids = planted.recall_source(1000, lag=7, period=16, seed=3)
    assert (ids[7::16] == ids[::16][: len(ids[7::16])]).all()
    assert set(ids[::16]) == {0, 1}
    assert set(np.delete(ids, [*range(0, 1000, 16), *range(7, 1000, 16)])) == {2, 3}


@pytest.mark.slow
def test_the_markov_source_has_the_entropy_that_counting_finds():
    ids, entropy = planted.markov_source(40_000, 3, order=2, seed=4)
    context = ids[:-2] * 3 + ids[1:-1]
    counts = np.zeros((9, 3))
    np.add.at(counts, (context, ids[2:]), 1)
    shares = counts / counts.sum(1, keepdims=True)
    counted = -(counts * np.log(np.maximum(shares, 1e-9))).sum() / counts.sum()
    assert abs(counted - entropy) < 0.01
    assert len(set(planted.uniform_source(500, 6))) == 6
