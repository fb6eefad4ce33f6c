"""Steps give torch's logits, keep their state apart by stream, and cost no torch import."""

import subprocess
import sys

import numpy as np
import pytest
import reference
import torch
from torch import nn

from charrnn import int8
from charrnn.config import ModelConfig
from charrnn.packing import pack
from charrnn.stepper import NumpyBackend, Stepper
from charrnn.torch_backend import Bfloat16Backend, Int8Backend, TorchBackend

V, H = 11, 7
SHAPES = [  # E, L, tied: one-hot, embedded, tied
    (0, 2, False),
    (5, 1, False),
    (7, 3, True),
]
CELLS = [("lstm", "tanh"), ("gru", "tanh"), ("rnn", "tanh"), ("rnn", "relu")]


def make_config(cell="lstm", nonlinearity="tanh", shape=(5, 2, False), vocab_size=V):
    size, num_layers, tied = shape
    return ModelConfig(
        vocab_size=vocab_size,
        cell_type=cell,
        nonlinearity=nonlinearity,
        embedding_size=size,
        hidden_size=H,
        num_layers=num_layers,
        tie_weights=tied,
    )


def make_weights(config, seed=3, dtype=np.float64):
    """Return random weights, as large as those of a trained network."""
    random = np.random.default_rng(seed)
    scale = 0.25 if config.nonlinearity == "relu" else 0.7
    size, gates = config.hidden_size, {"gru": 3, "rnn": 1}.get(config.cell_type, 4)
    shapes = {"output.bias": (config.vocab_size,)}
    if config.embedding_size:
        shapes["embedding.weight"] = (config.vocab_size, config.embedding_size)
    if not config.tie_weights:
        shapes["output.weight"] = (config.vocab_size, size)
    for layer in range(config.num_layers):
        inputs = size if layer else config.embedding_size or config.vocab_size
        shapes[f"recurrent.weight_ih_l{layer}"] = (gates * size, inputs)
        shapes[f"recurrent.weight_hh_l{layer}"] = (gates * size, size)
        shapes[f"recurrent.bias_ih_l{layer}"] = (gates * size,)
        shapes[f"recurrent.bias_hh_l{layer}"] = (gates * size,)
        if config.cell_type == "peephole":
            shapes |= {f"recurrent.weight_c{gate}_l{layer}": (size,) for gate in "ifo"}
    return {n: random.normal(0, scale, shape).astype(dtype) for n, shape in shapes.items()}


def torch_logits(config, weights, tokens, dtype):
    """Return the logits (T, V) of torch's own layers, the whole text at once."""
    kind = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[config.cell_type]
    options = {"nonlinearity": config.nonlinearity} if config.cell_type == "rnn" else {}
    inputs = config.embedding_size or config.vocab_size
    layers = kind(inputs, config.hidden_size, config.num_layers, dtype=dtype, **options)
    named = {name: torch.from_numpy(value).to(dtype) for name, value in weights.items()}
    prefix = "recurrent."
    layers.load_state_dict(
        {n.removeprefix(prefix): w for n, w in named.items() if n.startswith(prefix)}
    )
    embedding = named.get("embedding.weight", torch.eye(config.vocab_size, dtype=dtype))
    with torch.no_grad():
        hidden, _ = layers(embedding[torch.from_numpy(tokens)])
        matrix = named["embedding.weight" if config.tie_weights else "output.weight"]
        return (hidden @ matrix.T + named["output.bias"]).numpy()


def step_all(stepper, tokens):
    return np.stack([stepper.step(int(token))[0].copy() for token in tokens])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_a_thousand_steps_give_the_logits_of_torch(cell, nonlinearity, shape, dtype):
    config = make_config(cell, nonlinearity, shape)
    weights = make_weights(config)
    tokens = np.random.default_rng(1).integers(0, V, 1000)
    wanted = torch_logits(config, weights, tokens, torch.from_numpy(np.zeros(0, dtype)).dtype)
    found = step_all(Stepper(pack(config, weights, dtype)), tokens)
    assert found.dtype == dtype
    assert np.abs(found - wanted).max() < (1e-10 if dtype == np.float64 else 1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_thousand_peephole_steps_give_the_logits_of_the_plain_formula(shape):
    config = make_config("peephole", shape=shape)
    weights = make_weights(config)
    tokens = np.random.default_rng(2).integers(0, V, 1000)
    wanted, _ = reference.run("peephole", tokens, weights, config.num_layers)
    for dtype, bound in ((np.float64, 1e-10), (np.float32, 1e-4)):
        found = step_all(Stepper(pack(config, weights, dtype)), tokens)
        assert np.abs(found - wanted).max() < bound


@pytest.mark.parametrize("cell", ["lstm", "peephole", "gru", "rnn"])
def test_the_streams_of_a_batch_do_not_touch_each_other(cell):
    config = make_config(cell)
    packed = pack(config, make_weights(config), np.float64)
    tokens = np.random.default_rng(4).integers(0, V, (50, 3))
    batch = Stepper(packed, 3)
    found = np.stack([batch.step(row).copy() for row in tokens])
    for stream in range(3):
        alone = step_all(Stepper(packed), tokens[:, stream])
        assert np.abs(found[:, stream] - alone).max() < 1e-12


@pytest.mark.parametrize("cell", ["lstm", "peephole", "gru", "rnn"])
def test_the_state_is_that_of_the_plain_formula_and_can_be_handed_on(cell):
    config = make_config(cell)
    weights = make_weights(config)
    packed = pack(config, weights, np.float64)
    tokens = np.random.default_rng(5).integers(0, V, 40)
    _, states = reference.run(cell, tokens[:20], weights, config.num_layers)
    first = Stepper(packed)
    step_all(first, tokens[:20])
    for part, wanted in zip(first.state, zip(*states, strict=True), strict=False):
        assert part.shape == (2, 1, H)
        assert np.abs(part[:, 0] - np.stack(wanted)).max() < 1e-12
    second = Stepper(packed, 4)
    second.state = first.state
    third = second.resized(2)
    third.state = tuple(part[:, [3, 1]] for part in second.state)
    for token in tokens[20:]:
        logits = first.step(int(token))
        assert np.abs(second.step(np.full(4, token)) - logits).max() < 1e-12
        assert np.abs(third.step(np.full(2, token)) - logits).max() < 1e-12


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_reset_forgets_everything(cell):
    config = make_config(cell)
    stepper = Stepper(pack(config, make_weights(config)))
    first = step_all(stepper, [3, 1, 4])
    stepper.reset()
    assert (step_all(stepper, [3, 1, 4]) == first).all()


def test_reading_a_prompt_is_stepping_through_it():
    config = make_config(shape=(5, 2, False))
    packed = pack(config, make_weights(config))
    reader, walker = Stepper(packed), Stepper(packed)
    tokens = [3, 1, 4, 1, 5, 9]
    assert np.abs(reader.read(tokens)[0] - step_all(walker, tokens)[-1]).max() < 1e-6
    assert np.abs(reader.step(2) - walker.step(2)).max() < 1e-6


def test_of_a_prompt_only_the_last_logits_are_asked_for(monkeypatch):
    """A GPU is waited for whenever they are."""
    asked, config = [], make_config()
    fetcher = NumpyBackend.fetcher

    def watched(self, buffer):
        fetch = fetcher(self, buffer)
        return lambda: (asked.append(buffer.shape), fetch())[1]

    monkeypatch.setattr(NumpyBackend, "fetcher", watched)
    Stepper(pack(config, make_weights(config))).read([3, 1, 4, 1, 5])
    assert len(asked) == 1


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_vocabulary_too_large_for_a_table_gives_the_same_logits(monkeypatch, batch_size):
    config = make_config(shape=(5, 1, False))
    weights = make_weights(config)
    table = Stepper(pack(config, weights, np.float64), batch_size)
    monkeypatch.setattr("charrnn.packing.TABLE_MAX", 4 * H * V - 1)
    packed = pack(config, weights, np.float64)
    assert packed.table is None
    lazy = Stepper(packed, batch_size)
    for token in (1, 7, 3):
        tokens = np.full(batch_size, token)
        assert np.abs(lazy.step(tokens) - table.step(tokens)).max() < 1e-12


@pytest.mark.parametrize(
    ("cell", "nonlinearity", "size"), [("lstm", "tanh", 3e38), ("rnn", "relu", 30)]
)
def test_numbers_that_overflow_give_no_warning(cell, nonlinearity, size):
    config = make_config(cell, nonlinearity)
    weights = {n: np.full(w.shape, size) for n, w in make_weights(config).items()}
    stepper = Stepper(pack(config, weights))
    for _ in range(30):
        logits = stepper.step(1)
    assert not np.isfinite(logits).all()


@pytest.mark.parametrize("cell", ["lstm", "peephole", "gru", "rnn"])
def test_torch_steps_as_numpy_does(cell):
    config = make_config(cell)
    packed = pack(config, make_weights(config), np.float64)
    tokens = np.random.default_rng(6).integers(0, V, (30, 3))
    ours = Stepper(packed, 3)
    theirs = Stepper(packed, 3, TorchBackend("cpu", torch.float64))
    for row in tokens:
        assert np.abs(ours.step(row) - theirs.step(row)).max() < 1e-12
    theirs.state = ours.state
    assert np.abs(theirs.state[0] - ours.state[0]).max() == 0
    alone = Stepper(packed, 1, TorchBackend("cpu", torch.float64))
    assert np.abs(alone.read([1, 2]) - Stepper(packed).read([1, 2])).max() < 1e-12


def test_bfloat16_products_agree_to_their_precision():
    config = make_config()
    packed = pack(config, make_weights(config))
    exact, rough = Stepper(packed, 3), Stepper(packed, 3, Bfloat16Backend())
    difference = 0.0
    for row in np.random.default_rng(7).integers(0, V, (30, 3)):
        logits = exact.step(row)
        difference = max(difference, np.abs(rough.step(row) - logits).max() / np.abs(logits).max())
    assert 0 < difference < 0.05


def test_weights_are_brought_to_torch_once_for_all_steppers(monkeypatch):
    config = make_config("peephole", shape=(5, 2, False))
    packed, made = pack(config, make_weights(config)), []
    places = [(TorchBackend("cpu"), "_placed"), (Bfloat16Backend(), "_low")]
    if int8.is_possible():
        places.append((Int8Backend(NumpyBackend()), "_laid"))
    for backend, name in places:
        made.clear()
        placed = getattr(backend, name)
        make = placed._make
        monkeypatch.setattr(
            placed, "_make", lambda w, *a, make=make: (made.append(w), make(w, *a))[1]
        )
        Stepper(packed, 4, backend).resized(3).resized(2).step(np.array([1, 2]))
        names = [id(weights) for weights in made]
        assert len(names) == len(set(names)) >= 2


def test_one_stream_is_a_vector_and_its_buffers_begin_on_cache_lines():
    backend = NumpyBackend(np.float32)
    assert backend.zeros(1, 5).shape == (5,)
    assert backend.zeros(2, 5).shape == (2, 5)
    assert all(backend.zeros(1, size).ctypes.data % 64 == 0 for size in range(1, 50))


def test_stepping_needs_no_torch():
    code = "import sys, charrnn.stepper; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
