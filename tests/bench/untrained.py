"""Texts without a sense and networks that nobody trained: as fast as others."""

from pathlib import Path

V, WORDS = 65, 33_278  # symbols: of tiny Shakespeare, of WikiText-2


def ids(vocab_size=V):
    """Return a million ids: of V characters all alike, of more symbols by Zipf's law."""
    import numpy as np

    generator = np.random.default_rng(0)
    if vocab_size == V:
        return generator.integers(V, size=1_000_000).astype(np.uint8)
    shares = 1 / np.arange(1, vocab_size + 1)
    return generator.choice(vocab_size, 1_000_000, p=shares / shares.sum()).astype(np.uint16)


def tokenizer(vocab_size):
    """Return a vocabulary of as many symbols, whatever they are."""
    from charrnn.tokenizer import Tokenizer

    return Tokenizer("char", tuple(chr(48 + i) for i in range(vocab_size)))


def stored_model(hidden_size, num_layers):
    """Return a network that nobody trained, as if read from a directory."""
    from charrnn.config import ModelConfig, SampleConfig
    from charrnn.model import LanguageModel
    from charrnn.modeldir import StoredModel

    config = ModelConfig(V, hidden_size=hidden_size, num_layers=num_layers)
    model = LanguageModel(config)
    model.reset(0)
    weights = model.to_weights()
    return StoredModel(Path(), config, tokenizer(V), weights, SampleConfig(), "", None, 0)
