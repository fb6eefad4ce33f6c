"""Samples of small networks, and what a slow loop over the prefix draws."""

import math
from pathlib import Path

import numpy as np
import reference

from charrnn.config import ModelConfig, SampleConfig
from charrnn.draft import Done
from charrnn.drawing import uniforms
from charrnn.modeldir import StoredModel, weight_shapes
from charrnn.sampler import sample
from charrnn.tokenizer import Tokenizer

STREAM = Tokenizer("char", tuple("\n abcdefg"))
NAMES = Tokenizer("char", ("<s>", "</s>", *"\n abcdefg"))
SEED = 17


def make_model(tokenizer, cell="lstm", num_layers=2, scale=0.9):
    """Return a stored model of 6 units with random weights."""
    config = ModelConfig(
        vocab_size=len(tokenizer),
        cell_type=cell,
        embedding_size=4,
        hidden_size=6,
        num_layers=num_layers,
    )
    random = np.random.default_rng(8)
    weights = {
        name: random.normal(0, scale, shape).astype(np.float32)
        for name, shape in weight_shapes(config).items()
    }
    defaults = SampleConfig(length=30)
    return StoredModel(Path("run"), config, tokenizer, weights, defaults, "", None)


def draw_all(model, num_samples=1, *, stops=(), prompt="", seed=SEED, **options):
    """Return the Dones, having checked that the events come in order and fit together."""
    config = SampleConfig(**{"length": 30, **options})
    events = list(
        sample(model, config, prompt=prompt, seed=seed, num_samples=num_samples, stops=tuple(stops))
    )
    dones = [event for event in events if isinstance(event, Done)]
    assert [done.index for done in dones] == list(range(num_samples))
    told = 0
    texts = [""] * num_samples
    for event in events:
        assert event.index == told
        if isinstance(event, Done):
            told += 1
        else:
            assert event.text
            texts[event.index] += event.text
    assert texts == [done.text for done in dones]
    return dones


def plain_draw(model, first, length, index=0, temperature=1.0, seed=SEED):
    """Return ids and sum of ln p, drawn by reading the whole prefix anew for each token."""
    numbers, ids, logprob = uniforms(seed, index), list(first), 0.0
    banned = [i for i in (model.tokenizer.unk_id, model.tokenizer.bos_id) if i is not None]
    for _ in range(length):
        logits, _ = reference.run(
            model.config.cell_type, ids, model.weights, model.config.num_layers
        )
        shares = np.exp(logits[-1]) / np.exp(logits[-1]).sum()
        tempered = shares ** (1 / temperature)
        tempered[banned] = 0
        sums = np.cumsum(tempered / tempered.sum())
        token = int(np.searchsorted(sums, next(numbers), side="right"))
        logprob += math.log(shares[token])
        ids.append(token)
        if token == model.tokenizer.eos_id:
            break
    return ids[len(first) :], logprob
