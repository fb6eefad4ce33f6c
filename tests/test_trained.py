"""Small trained networks: every cell stepped as torch runs it, and texts of several kinds."""

from pathlib import Path

import numpy as np
import pytest
import torch

import charrnn
from charrnn.model import LanguageModel
from charrnn.packing import pack
from charrnn.stepper import Stepper

CORPORA = Path(__file__).parent.parent / "corpora"
LINES = "".join(f"{i} less {i % 13} is {i - i % 13}, naïve or not.\n" for i in range(300))
NAMES = "".join(f"{a}{b}{c}\n" for a in "bdklm" for b in "aeio" for c in ("nna", "rk", "lla", "x"))
SAID = [f" the {who} sees {what} <unk> . \n" for who in ("cat", "dog") for what in ("it", "@-@")]
TOKENS = "".join(SAID) * 40


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "peephole"])
def test_the_engine_steps_a_trained_network_as_torch_runs_it(cell, tmp_path):
    (tmp_path / "text.txt").write_text(LINES)
    sizes = {"hidden_size": 24, "num_layers": 2, "embedding_size": 9, "threads": 1}
    options = {"output": tmp_path / "run", "max_steps": 80, "cell": cell, **sizes}
    *_, end = charrnn.train(tmp_path / "text.txt", **options)
    assert end.best_loss < 2.5  # it has learnt something
    stored = charrnn.load(tmp_path / "run").stored
    tokens = stored.tokenizer.encode(LINES)[:1000]
    model = LanguageModel(stored.config).double()
    model.load_weights(stored.weights)
    with torch.no_grad():
        wanted = model(torch.from_numpy(tokens.astype(np.int64))[:, None])[0][:, 0].numpy()
    for dtype, bound in ((np.float64, 1e-10), (np.float32, 1e-4)):
        stepper = Stepper(pack(stored.config, stored.weights, dtype))
        found = np.array([stepper.step(int(token))[0].copy() for token in tokens])
        assert np.abs(found - wanted).max() < bound


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "options"),
    [
        ((CORPORA / "greek.txt").read_text(encoding="utf-8")[:20_000], {}),
        ((CORPORA / "greek.txt").read_text(encoding="utf-8")[:8_000], {"level": "byte"}),
        (NAMES, {"document": "line"}),
        (TOKENS, {"level": "word", "pretokenized": True, "vocab_size": 0}),
    ],
    ids=["greek", "greek bytes", "names", "pretokenized"],
)
def test_texts_of_all_kinds_are_trained_on_sampled_and_scored(text, options, tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8")
    untrained = charrnn.train(
        path, output=tmp_path / "none", max_steps=1, hidden_size=32, threads=1, **options
    )
    *_, first = untrained
    *_, end = charrnn.train(
        path, output=tmp_path / "run", max_steps=60, hidden_size=32, threads=1, **options
    )
    assert end.best_loss < first.best_loss - 0.2
    model = charrnn.load(tmp_path / "run")
    assert model.sample(seed=1, length=200) == model.sample(seed=1, length=200) != ""
    score = model.score(text)
    assert score.num_unknown == text.count("<unk>")  # which are words there
    assert score.loss < first.best_loss
