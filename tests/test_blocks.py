"""Blocks drawn on a device are the samples drawn one by one, and ask nothing meanwhile."""

from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import torch
import torch.utils._pytree
from drawn import NAMES, STREAM, draw_all, make_model
from fake_device import Watch
from hypothesis import given
from hypothesis import strategies as st

from charrnn import blocks, devicedraws, packing, sampler
from charrnn.blocks import Blocks, block_size
from charrnn.config import SampleConfig
from charrnn.devicedraws import DeviceDraws, keep_head
from charrnn.draft import Assignment, Draft, Piece
from charrnn.errors import ConfigError, ModelError
from charrnn.filters import keep_top_k, keep_top_p
from charrnn.growing import grow_in_blocks
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
        backend.draws_blocks = True
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


@pytest.mark.parametrize("is_table", [True, False])
@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole", "rnn"])
@pytest.mark.parametrize("options", OPTIONS)
def test_nothing_is_asked_while_a_block_is_drawn(options, cell, is_table, monkeypatch):
    """On "meta", where tensors have no values: to ask for one is an error, as to bring some in."""
    monkeypatch.setattr(packing, "TABLE_MAX", 1 << 22 if is_table else 0)
    model = make_model(STREAM, cell)
    stepper = Stepper(pack(model.config, model.weights), 3, MetaBackend())
    config = SampleConfig(**options)
    draws = DeviceDraws(config, STREAM, [1, 2], 3, torch.device("cpu"))
    draws.__dict__.update(
        {k: v.to("meta") for k, v in vars(draws).items() if isinstance(v, torch.Tensor)}
    )
    made = Blocks(stepper, draws, 4)
    buffers = [stepper.logits, made._drawn, made._numbers, draws.recent]
    with Watch() as watch:
        made._step()
    assert {"aten::mm", "aten::index_copy_"} <= watch.names
    assert not watch.names & {"aten::_local_scalar_dense", "aten::nonzero"}
    assert buffers == [stepper.logits, made._drawn, made._numbers, draws.recent]


class MetaBackend(TorchBackend):
    """A backend without values."""

    def __init__(self):
        super().__init__("meta")

    def fetcher(self, buffer):
        return lambda: np.zeros(buffer.shape, np.float32)


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


class Graph:
    """Stands in for a CUDA graph: what is captured is made when it is replayed."""

    def replay(self):
        cuda_events.append("replay")
        self.captured()


class Stream:
    """Stands in for a CUDA stream."""

    def wait_stream(self, other):
        cuda_events.append("wait")


cuda_events = []


@pytest.fixture
def fake_cuda(monkeypatch):
    """Put stand-ins in the place of what CUDA has, and return how to make blocks with them."""
    cuda_events.clear()
    steps, made_on = [], []

    @contextmanager
    def capture(graph, stream, capture_error_mode):
        assert capture_error_mode == "thread_local"
        assert isinstance(stream, Stream)
        cuda_events.append("capture")
        with pytest.MonkeyPatch.context() as patch:  # while it is captured nothing is made
            patch.setattr(Blocks, "_step", lambda self: made_on.append(self))
            yield
        graph.captured = steps[-1]

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "graph", capture)
    start = Blocks.__init__

    def begin(self, stepper, draws, num_tokens, stream=None):
        start(self, stepper, draws, num_tokens, stream or Stream())
        self._device = torch.device("cuda")
        steps.append(lambda: Blocks._step(self))

    monkeypatch.setattr(Blocks, "__init__", begin)


def test_the_first_block_is_drawn_as_it_is_and_the_others_by_a_graph(fake_cuda):
    options = {"repetition_penalty": 1.5, "temperature": 0.8}
    wanted = [make_blocks(12, **options).draw(np.tile(NUMBERS, (2, 1))[:12])[0]]
    cuda_events.clear()
    made = make_blocks(4, **options)
    numbers = np.tile(NUMBERS, (2, 1))
    first, _ = made.draw(numbers[:4])
    assert cuda_events == ["wait"]
    second, _ = made.draw(numbers[4:8])
    assert cuda_events == ["wait", "wait", "capture", *["replay"] * 4]
    narrow = made.narrowed([2, 0])
    assert narrow._stream is made._stream
    third, _ = narrow.draw(numbers[8:12][:, [2, 0]].copy())
    assert cuda_events[7:] == ["wait"]
    assert np.vstack([first, second]).tolist() == wanted[0][:8].tolist()
    assert third.tolist() == wanted[0][8:, [2, 0]].tolist()


def test_what_cannot_be_captured_is_drawn_as_it_is(fake_cuda, monkeypatch):
    def refuse(*given, **options):
        raise RuntimeError("operation not permitted when stream is capturing")

    wanted, _ = make_blocks(8).draw(NUMBERS)
    monkeypatch.setattr(torch.cuda, "graph", refuse)
    made = make_blocks(4)
    first, _ = made.draw(NUMBERS[:4])
    second, _ = made.draw(NUMBERS[4:])
    assert np.vstack([first, second]).tolist() == wanted.tolist()


def test_a_network_whose_output_is_not_finite_is_an_error(on_device):
    model = make_model(STREAM)
    model.weights["output.bias"][3] = np.nan
    on_device()
    with pytest.raises(ModelError, match="not finite"):
        draw_all(model, 3)


class Scripted:
    """Blocks of 5 tokens that are all the same, with ln p that are given."""

    num_tokens = 5

    def __init__(self, token, logprobs):
        self.token, self.logprobs = token, logprobs

    def draw(self, numbers):
        return np.full(numbers.shape, self.token), self.logprobs


def test_what_was_drawn_before_logits_that_are_not_finite_is_told():
    logprobs = np.full((5, 2), -1.0)
    logprobs[3, 1] = np.nan
    assignment = Assignment(STREAM, SampleConfig(length=9), 0)
    events = grow_in_blocks([Draft(assignment, 0), Draft(assignment, 1)], Scripted(2, logprobs))
    assert next(events) == Piece(0, "aaaaa")
    with pytest.raises(ModelError, match="not finite"):
        next(events)
    events = grow_in_blocks([Draft(assignment, 1)], Scripted(2, logprobs[:, 1:]))
    assert next(events) == Piece(1, "aaa")
    with pytest.raises(ModelError, match="not finite"):
        next(events)


def test_logits_that_are_not_finite_after_the_end_are_no_error():
    logprobs = np.full((5, 1), -1.0)
    logprobs[3:] = np.nan
    assignment = Assignment(STREAM, SampleConfig(length=3), 0)
    *_, done = grow_in_blocks([Draft(assignment, 0)], Scripted(2, logprobs))
    assert (done.text, done.logprob) == ("aaa", -3)


def test_a_vocabulary_of_what_is_never_drawn_is_refused():
    with pytest.raises(ConfigError, match="banned"):
        DeviceDraws(SampleConfig(), Tokenizer("char", ("<unk>",)), (), 2, torch.device("cpu"))


@pytest.mark.parametrize(
    "logits", [[1.0, torch.nan, 0], [0, torch.inf, 0], [0, -torch.inf, -torch.inf]]
)
@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_ln_p_tells_of_logits_that_are_not_finite(logits, temperature):
    tokenizer = Tokenizer("char", ("<unk>", *"ab"))
    config = SampleConfig(temperature=temperature)
    draws = DeviceDraws(config, tokenizer, (), 2, torch.device("cpu"))
    tokens, logprobs = draws.draw(
        torch.tensor([logits, [0.0, 1.0, -1.0]]), torch.tensor([0.5, 0.1])
    )
    assert logprobs.isnan().tolist() == [True, False]
    assert 0 <= tokens[0] < 3


def test_the_likeliest_is_one_that_may_be_drawn_after_the_penalty():
    tokenizer = Tokenizer("char", ("<unk>", *"abc"))
    config = SampleConfig(temperature=0.0, repetition_penalty=2.0)
    draws = DeviceDraws(config, tokenizer, [1], 1, torch.device("cpu"))
    logits = torch.tensor([[9.0, 3.0, 1.6, 1.5]])
    found = [draws.draw(logits, torch.tensor([0.5]))[0].item() for _ in range(4)]
    assert found == [2, 1, 1, 1]  # 3.0 / 2, as "a" was in the text, then 1.6 / 2 too


def test_those_that_go_on_keep_what_the_penalty_looks_back_on():
    config = SampleConfig(repetition_penalty=2.0)
    draws = DeviceDraws(config, STREAM, [1, 2], 3, torch.device("cpu"))
    draws.draw(torch.eye(9)[:3] * 50, torch.tensor([0.5] * 3))
    kept = draws.keep([2, 0])
    assert kept.recent[:, -3:].tolist() == [[1, 2, 2], [1, 2, 0]]
    kept.recent[:] = 5
    assert draws.recent[:, -1].tolist() == [0, 1, 2]


def test_what_has_no_weight_is_not_drawn_though_sums_made_in_parallel_go_down(monkeypatch):
    sums = torch.tensor([[0.4, 0.4 - 1e-9, 1.0, 1.0]])
    monkeypatch.setattr(torch.Tensor, "cumsum", lambda self, dim: sums.expand(len(self), -1))
    weights = torch.tensor([[0.4, 0.0, 0.6, 0.0]]).log()
    assert devicedraws._drawn_by(weights, torch.tensor([0.4 - 1e-10])).tolist() == [2]


def test_many_samples_of_many_symbols_are_drawn_in_groups_that_fit():
    backend = TorchBackend("cpu")
    assert sampler.group_size(backend, 1 << 20) == backend.group_size == 1024
    backend.draws_blocks = True
    assert sampler.group_size(backend, 100) == 1024
    assert sampler.group_size(backend, 1 << 17) == 128
    assert sampler.group_size(backend, 1 << 30) == 1


def test_symbols_that_stand_for_no_text_are_not_drawn():
    tokenizer = Tokenizer("char", ("<unk>", *"abcd"))
    draws = DeviceDraws(SampleConfig(), tokenizer, (), 2, torch.device("cpu"))
    logits = torch.tensor([[1000.0, 0, 0, 0, 0]]).repeat(2, 1)
    tokens, logprobs = draws.draw(logits, torch.tensor([0.0, 0.99]))
    assert tokens.tolist() == [1, 4]
    assert logprobs.tolist() == [-1000, -1000]


def test_only_a_gpu_draws_by_itself():
    assert not TorchBackend("cpu").draws_blocks
    assert TorchBackend("cuda:0").draws_blocks  # the device is not asked
