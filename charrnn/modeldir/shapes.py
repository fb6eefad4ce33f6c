"""Options of a network -> the names and shapes of its weights, known before any is read.

Shapes: V vocabulary, E embedding, H hidden, G gates. Names and gate order are those of nn.LSTM,
nn.GRU and nn.RNN under `recurrent.`; peephole weights are those of Gers & Schmidhuber (2000).
"""

import math

import numpy as np

from charrnn.config import ModelConfig
from charrnn.errors import ModelError
from charrnn.strictjson import shown
from charrnn.tensors import MAX_HEADER_SIZE, Tensors

NUM_GATES = {"lstm": 4, "peephole": 4, "gru": 3, "rnn": 1}
PEEPHOLES = ("weight_ci", "weight_cf", "weight_co")


def weight_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of model.safetensors by its name."""
    vocab, embedding, hidden = config.vocab_size, config.embedding_size, config.hidden_size
    rows = NUM_GATES[config.cell_type] * hidden
    shapes: dict[str, tuple[int, ...]] = {}
    if embedding:
        shapes["embedding.weight"] = (vocab, embedding)
    for layer in range(config.num_layers):
        inputs = hidden if layer else embedding or vocab
        parts: dict[str, tuple[int, ...]]
        parts = {"weight_ih": (rows, inputs), "weight_hh": (rows, hidden)}
        parts |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if config.cell_type == "peephole":
            parts |= dict.fromkeys(PEEPHOLES, (hidden,))
        shapes |= {f"recurrent.{name}_l{layer}": shape for name, shape in parts.items()}
    if not config.tie_weights:
        shapes["output.weight"] = (vocab, hidden)
    return shapes | {"output.bias": (vocab,)}


def weights_size(config: ModelConfig) -> int:
    """Return how many bytes the float32 weights take."""
    return 4 * sum(math.prod(shape) for shape in weight_shapes(config).values())


def file_limit(config: ModelConfig) -> int:
    """Return the most bytes that model.safetensors can have."""
    return 8 + MAX_HEADER_SIZE + weights_size(config)


def check_weights(weights: Tensors, config: ModelConfig, name: str) -> None:
    """Raise ModelError, starting with `name`, unless `weights` are just what `config` needs."""
    shapes = weight_shapes(config)
    for key in weights:
        if key not in shapes:
            raise ModelError(f"{name}: tensor {shown(key)} does not belong to this network")
    for key, shape in shapes.items():
        if key not in weights:
            raise ModelError(f"{name}: tensor {key} is missing")
        if weights[key].dtype != np.float32:
            raise ModelError(f"{name}: tensor {key} is {weights[key].dtype}: needs float32")
        if weights[key].shape != shape:
            raise ModelError(f"{name}: tensor {key} is {weights[key].shape}: needs {shape}")
