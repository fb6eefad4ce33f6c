"""A model directory without charrnn: safetensors, json and torch.nn alone read it the same."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn

import charrnn
from charrnn.reports import EvalReport

TEXT = "".join(f"{i} less {i % 13} is {i - i % 13}, naïve or not.\n" for i in range(400))
LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


@pytest.fixture(scope="module", params=["lstm", "gru", "rnn"])
def trained(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("interchange")
    (folder / "text.txt").write_text(TEXT)
    sizes = {"hidden_size": 20, "num_layers": 2, "embedding_size": 7, "cell": request.param}
    *_, final, _, end = charrnn.train(
        folder / "text.txt", output=folder / "run", max_steps=60, threads=1, **sizes
    )
    assert isinstance(final, EvalReport)
    assert end.best_loss == final.valid_loss
    return request.param, folder / "run", final.valid_loss


@torch.no_grad()
def plain_loss(kind, directory, text):
    """Nats per character of `text` but its first, by a plain loop over nn modules."""
    config = json.loads((directory / "config.json").read_text())
    vocabulary = json.loads((directory / "tokenizer.json").read_text())["model"]["vocab"]
    weights = load_file(directory / "model.safetensors")
    sizes = (config["embedding_size"], config["hidden_size"], config["num_hidden_layers"])
    layers = LAYERS[kind](*sizes)
    prefix = "recurrent."
    own = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    layers.load_state_dict(own)
    ids = torch.tensor([vocabulary[char] for char in text])
    total, state = 0.0, None
    for start in range(0, len(ids) - 1, 50):
        inputs = ids[start : start + 50][: len(ids) - 1 - start]
        hidden, state = layers(weights["embedding.weight"][inputs][:, None], state)
        logits = hidden[:, 0] @ weights["output.weight"].T + weights["output.bias"]
        targets = ids[start + 1 : start + 1 + len(inputs)]
        total += float(nn.functional.cross_entropy(logits, targets, reduction="sum"))
    return total / (len(ids) - 1)


@pytest.mark.slow
def test_a_plain_loop_finds_the_loss_that_the_run_reported(trained):
    kind, directory, reported = trained
    held_out = TEXT[int(len(TEXT) * 0.9) :]
    assert plain_loss(kind, directory, held_out) == pytest.approx(reported, abs=1e-4)
    score = charrnn.load(directory).score(held_out)
    assert score.loss == pytest.approx(reported, abs=1e-4)
    assert score.num_tokens == len(held_out) - 1
    assert score.bits_per_char == pytest.approx(score.loss / math.log(2))
    assert score.bits_per_byte < score.bits_per_char  # ï is two bytes


def test_surprisals_are_those_of_the_score_in_order(trained):
    _, directory, _ = trained
    model = charrnn.load(directory)
    pairs = model.surprisal(TEXT[:300])
    assert "".join(token for token, _ in pairs) == TEXT[:300]
    assert math.isnan(pairs[0][1])
    nats = np.array([nats for _, nats in pairs[1:]])
    assert nats.sum() == pytest.approx(model.score(TEXT[:300], exact=True).nats, rel=1e-9)


def test_the_tokenizers_library_reads_the_vocabulary(trained):
    _, directory, _ = trained
    theirs = Tokenizer.from_file(str(directory / "tokenizer.json"))
    ours = charrnn.load(directory).stored.tokenizer
    ids = theirs.encode(TEXT[:500]).ids
    assert ids == ours.encode(TEXT[:500]).tolist()
    assert theirs.decode(ids) == TEXT[:500]


def test_sampling_steps_the_same_network(trained):
    """Argmax text of the NumPy engine is what the torch network says, symbol by symbol."""
    _, directory, _ = trained
    model = charrnn.load(directory)
    text = "17 less 4 is " + model.sample("17 less 4 is ", temperature=0, length=60)
    ids = torch.from_numpy(model.stored.tokenizer.encode(text).astype(np.int64))
    with torch.no_grad():
        logits, _ = model.network(ids[:, None])
    assert logits[12:-1, 0].argmax(-1).tolist() == ids[13:].tolist()
