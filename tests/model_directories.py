"""Small model directories to read, to damage and to forge."""

import hashlib
import json

import numpy as np
import pytest

from charrnn.config import ModelConfig
from charrnn.errors import ModelError
from charrnn.modeldir import read_model, weight_shapes, write_model
from charrnn.tensors import encode_tensors
from charrnn.tokenizer import Tokenizer

FILES = ["config.json", "tokenizer.json", "model.safetensors"]
SYMBOLS = "\nehlo \u00e9\U0001f600<"


def make_config(**changes):
    options = {"vocab_size": len(SYMBOLS), "embedding_size": 3, "hidden_size": 5, "num_layers": 2}
    return ModelConfig(**{**options, **changes})


def make_tokenizer(symbols=SYMBOLS):
    return Tokenizer("char", tuple(sorted(symbols)))


def make_weights(config, seed=7):
    generator = np.random.default_rng(seed)
    return {
        name: generator.normal(size=shape).astype(np.float32)
        for name, shape in weight_shapes(config).items()
    }


def make_model(directory, seed=7, **changes):
    """Write a model; return its options and weights."""
    config = make_config(**changes)
    weights = make_weights(config, seed)
    directory.mkdir(exist_ok=True)
    write_model(directory, config, make_tokenizer(), weights, step=40)
    return config, weights


def forge(directory, weights, **metadata):
    """Write `weights` with checksums that fit the other files, as somebody hostile would."""
    marks = {
        f"{name}_sha256": hashlib.sha256((directory / f"{name}.json").read_bytes()).hexdigest()
        for name in ("config", "tokenizer")
    }
    data = encode_tensors(weights, {**marks, **metadata})
    (directory / "model.safetensors").write_bytes(data)


def edit_json(path, **changes):
    """Change keys of a JSON file; None takes a key out."""
    value = {**json.loads(path.read_bytes()), **changes}
    value = {key: item for key, item in value.items() if item is not None}
    path.write_text(json.dumps(value))


def refuses(directory, name=None):
    """Return the one line with which the model is refused."""
    with pytest.raises(ModelError) as caught:
        read_model(directory)
    text = str(caught.value)
    assert name is None or name in text
    assert len(text) < 1000
    return text
