"""Hostile and odd corpora, from the file to the model and to the screen."""

import os

import pytest
from commands import charrnn
from training_runs import TEXT, ask, fingerprint, finish

from charrnn.api import load
from charrnn.cli import run_command
from charrnn.reports import StepReport
from charrnn.run import run_training

HOSTILE = (
    "\x1b]52;c;ZXZpbA==\x07\x1b[6n\x9b31m\x9d0;t\x07[/nope][link=file:///etc/passwd]x[/link]"
    ":smile:\r\x00\x0b\x85\u2028\u202e<script>&amp;\n"
) * 30
SIZES = {"hidden_size": 5, "embedding_size": 3, "batch_size": 3, "seq_length": 8, "max_steps": 6}
UNSEEN = {chr(code) for code in (*range(32), *range(0x7F, 0xA0))} - {"\n"} | {"\u202e", "\u2028"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


def train(folder, text, **changes):
    (folder / "corpus.txt").write_bytes(text.encode())
    finish(ask(folder / "corpus.txt", **{**SIZES, **changes}))
    return folder / "run"


@pytest.mark.parametrize(
    "view",
    ["summary", "curve", "surprisal", "errors", "embed", "calibration", "gates"],
)
def test_a_hostile_corpus_is_only_shown_by_a_view(view, folder, capsys):
    model = train(folder, HOSTILE)
    assert run_command(["inspect", view, "-m", str(model)]) == 0
    shown = capsys.readouterr().out
    assert shown
    assert not set(shown) & UNSEEN


def test_a_pipe_gets_the_exact_characters_of_a_hostile_model(folder):
    model = train(folder, HOSTILE)
    drawn = charrnn("sample", "-m", model, "--seed", "3", "-l", "300")
    expected = load(model).sample(seed=3, length=300)
    assert drawn.stdout == expected.encode()
    assert set(expected) & UNSEEN
    assert drawn.stderr == b""


def test_a_hundred_thousand_symbols_are_a_vocabulary(folder):
    codes = [code for code in range(0x20, 0x1A000) if not 0xD800 <= code < 0xE000][:100_000]
    model = train(folder, "".join(map(chr, codes)), hidden_size=2, max_steps=2)
    stored = load(model).stored
    assert len(stored.tokenizer) == 100_000
    assert len(load(model).sample(seed=1, length=3)) == 3


def test_a_text_that_is_cut_while_it_is_trained_on_changes_nothing(folder):
    train(folder, TEXT)
    expected = fingerprint(folder / "run")
    for report in run_training(ask(folder / "corpus.txt", **SIZES, output=folder / "cut")):
        if isinstance(report, StepReport) and report.step == 2:
            os.truncate(folder / "corpus.txt", 5)
    assert fingerprint(folder / "cut") == expected
