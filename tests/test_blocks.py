"""Blocks drawn on a device are the samples drawn one by one, and ask nothing meanwhile."""

from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import torch
from drawn import NAMES, STREAM, draw_all, make_model
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from charrnn import blocks, sampler
from charrnn.blocks import Blocks, block_size
from charrnn.config import SampleConfig
from charrnn.devicedraws import DeviceDraws, keep_head
from charrnn.errors import ModelError
from charrnn.filters import keep_top_k, keep_top_p
from charrnn.packing import pack
from charrnn.stepper import Stepper
from charrnn.tokenizer import Tokenizer
from charrnn.torch_backend import TorchBackend

OPTIONS = [
    {},
    {"temperature": 0.6},
    {"temperature": 0.0, "top_p": 0.1},
    {"top_k": 3, "length": 45},
    {"top_k": 100},
    {"top_p": 0.7, "temperature": 1.4},
    {"top_k": 4, "top_p": 0.8},
    {"min_p": 0.2},
    {"repetition_penalty": 1.7},
    {"repetition_penalty": 0.6, "temperature": 0.8, "top_k": 5, "top_p": 0.9, "min_p": 0.05},
]


@pytest.fixture
def on_device(monkeypatch):
    """Draw blocks, as on a GPU; return what asks how many were made."""
    made, make = [], sampler._make_blocks
    monkeypatch.setattr(
        sampler, "_make_blocks", lambda *given: (made.append(given), make(*given))[1]
    )

    def begin():
        backend = TorchBackend("cpu", torch.float64)
        backend.draws = True
        monkeypatch.setattr(sampler, "choose_backends", lambda *asked: (backend, backend))
        return made

    return begin


@pytest.mark.parametrize("num_samples", [1, 7])
@pytest.mark.parametrize("tokenizer", [STREAM, NAMES])
@pytest.mark.parametrize("options", OPTIONS)
def test_blocks_are_what_is_drawn_one_by_one(options, tokenizer, num_samples, on_device):
    model = make_model(tokenizer)
    wanted = draw_all(model, num_samples, prompt="abba", **options)
    made = on_device()
    found = draw_all(model, num_samples, prompt="abba", **options)
    assert len(made) == 1
    assert [done.text for done in found] == [done.text for done in wanted]
    assert [done.finish_reason for done in found] == [done.finish_reason for done in wanted]
    assert [done.tokens for done in found] == [done.tokens for done in wanted]
    assert [done.logprob for done in found] == pytest.approx([done.logprob for done in wanted])


@pytest.mark.parametrize("cell", ["gru", "peephole", "rnn"])
def test_the_other_cells_too(cell, on_device):
    wanted = draw_all(make_model(STREAM, cell), 3)
    on_device()
    assert [d.text for d in draw_all(make_model(STREAM, cell), 3)] == [d.text for d in wanted]


def test_stops_end_samples_within_a_block_and_the_others_go_on(on_device):
    model, options = make_model(STREAM), {"length": 0, "stops": ["ca"]}
    wanted = draw_all(model, 12, **options)
    on_device()
    found = draw_all(model, 12, **options)
    assert [done.text for done in found] == [done.text for done in wanted]
    assert len({done.tokens // blocks.NUM_TOKENS for done in found}) > 1


def test_a_least_length_is_seen_to_token_by_token(on_device):
    model, options = make_model(NAMES), {"min_length": 9}
    wanted = draw_all(model, 5, **options)
    made = on_device()
    assert [done.text for done in draw_all(model, 5, **options)] == [done.text for done in wanted]
    assert made == []


def test_a_block_is_not_much_longer_than_what_is_asked_for():
    assert block_size(0) == block_size(32) == block_size(64) == 32
    assert [block_size(length) for length in (1, 20, 33, 65, 1000)] == [1, 20, 17, 22, 32]


@given(
    rows=st.lists(st.lists(st.integers(0, 3), min_size=6, max_size=6), min_size=1, max_size=4),
    top_k=st.integers(1, 6),
    top_p=st.floats(0.01, 0.99),
)
def test_the_head_is_that_of_the_filters_ties_included(rows, top_k, top_p):
    weights = np.array(rows, float)
    weights -= weights.max(axis=1, keepdims=True)
    first, both = weights.copy(), weights.copy()
    keep_top_k(first, top_k)
    keep_top_k(both, top_k)
    keep_top_p(both, top_p)
    assert keep_head(torch.from_numpy(weights), top_k, 1.0).tolist() == first.tolist()
    assert keep_head(torch.from_numpy(weights), top_k, top_p).tolist() == both.tolist()
    alone = weights.copy()
    keep_top_p(alone, top_p)
    assert keep_head(torch.from_numpy(weights), 0, top_p).tolist() == alone.tolist()


def make_blocks(num_tokens=4, batch_size=3, **options):
    model = make_model(STREAM)
    stepper = Stepper(pack(model.config, model.weights), batch_size, TorchBackend("cpu"))
    history = STREAM.encode("ab").tolist()
    for token in history:
        stepper.step(np.array([token] * batch_size))
    draws = DeviceDraws(SampleConfig(**options), STREAM, history, batch_size, torch.device("cpu"))
    return Blocks(stepper, draws, num_tokens)


NUMBERS = np.random.default_rng(4).random((8, 3))


class Watch(TorchDispatchMode):
    """Collects the names of the operations that are made."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, call, types, args=(), kwargs=None):
        self.names.add(call.name().split(".")[0])
        return call(*args, **(kwargs or {}))


@pytest.mark.parametrize("options", OPTIONS)
def test_nothing_is_asked_while_a_block_is_drawn(options):
    made = make_blocks(**{k: v for k, v in options.items() if k != "length"})
    with Watch() as watch:
        made._run()
    assert {"aten::mm", "aten::cumsum"} <= watch.names
    asking = {"aten::_local_scalar_dense", "aten::nonzero", "aten::index", "aten::_to_copy"}
    assert watch.names & asking <= {"aten::_to_copy"}  # float32 to float64


def test_blocks_go_on_from_each_other_and_with_some_of_the_streams():
    options = {"repetition_penalty": 1.5, "temperature": 0.8}
    long = make_blocks(8, **options)
    tokens, logprobs = long.draw(NUMBERS)
    short = make_blocks(4, **options)
    first, _ = short.draw(NUMBERS[:4])
    second, shares = short.narrowed([0, 2]).draw(np.ascontiguousarray(NUMBERS[4:, [0, 2]]))
    assert first.tolist() == tokens[:4].tolist()
    assert second.tolist() == tokens[4:, [0, 2]].tolist()
    np.testing.assert_allclose(shares, logprobs[4:, [0, 2]], atol=1e-6)


def test_a_captured_block_begins_where_the_stepper_was(monkeypatch):
    """With stand-ins for CUDA's: what is captured runs when it is replayed."""
    wanted = make_blocks(repetition_penalty=1.5).draw(NUMBERS[:4])
    runs = []

    class Graph:
        def replay(self):
            runs.append("replay")
            self.captured()

    class Stream:
        def wait_stream(self, other):
            runs.append("wait")

    @contextmanager
    def capture(graph):
        runs.append("capture")
        yield
        graph.captured = run

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "graph", capture)
    made = make_blocks(repetition_penalty=1.5)
    run = made._run
    made._draw_block = made._captured(torch.device("cpu"))
    found = made.draw(NUMBERS[:4])
    assert runs == ["wait", "wait", "capture", "replay"]
    assert found[0].tolist() == wanted[0].tolist()
    np.testing.assert_allclose(found[1], wanted[1], atol=1e-6)


def test_a_network_whose_output_is_not_finite_is_an_error(on_device):
    model = make_model(STREAM)
    model.weights["output.bias"][3] = np.nan
    on_device()
    with pytest.raises(ModelError, match="not finite"):
        draw_all(model, 3)


def test_symbols_that_stand_for_no_text_are_not_drawn():
    tokenizer = Tokenizer("char", ("<unk>", *"abcd"))
    draws = DeviceDraws(SampleConfig(), tokenizer, (), 2, torch.device("cpu"))
    logits = torch.tensor([[1000.0, 0, 0, 0, 0]]).repeat(2, 1)
    tokens, logprobs = draws.draw(logits, torch.tensor([0.0, 0.99]))
    assert tokens.tolist() == [1, 4]
    assert logprobs.tolist() == [-1000, -1000]


def test_only_a_gpu_draws_by_itself():
    assert not TorchBackend("cpu").draws
    assert TorchBackend("meta").draws is False
    assert TorchBackend("cuda:0").draws  # the device is not asked
