"""Hostile and odd corpora, from the file to the model and to the screen."""

import os

import pytest
from commands import charrnn
from terminals import charrnn as on_terminal
from training_runs import TEXT, ask, fingerprint, finish

from charrnn.api import load
from charrnn.cli import run_command
from charrnn.cli.process import explain
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


@pytest.mark.slow
def test_a_pipe_gets_the_exact_characters_of_a_hostile_model(folder):
    model = train(folder, HOSTILE)
    drawn = charrnn("sample", "-m", model, "--seed", "3", "-l", "300")
    expected = load(model).sample(seed=3, length=300)
    assert drawn.stdout == expected.encode()
    assert set(expected) & UNSEEN
    assert drawn.stderr == b""


@pytest.mark.torture
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


def test_a_model_that_is_cut_while_it_writes_writes_on(folder):
    """Its file was read, not mapped: a mapped one would end the process by SIGBUS."""
    model = train(folder, TEXT)
    expected = load(model).sample(seed=3, length=300)
    pieces = load(model).stream(seed=3, length=300)
    written = next(pieces)
    os.truncate(model / "model.safetensors", 0)
    assert written + "".join(pieces) == expected


VIEWS = {
    "summary": [], "curve": [], "surprisal": [], "cells": ["--budget", "fast"], "cell": ["h:0:0"],
    "copying": ["-n", "2", "-l", "50"], "compare": [], "memory": [], "saliency": [], "gates": [],
    "ablate": ["--units", "2"], "errors": [], "calibration": [], "embed": [],
}  # fmt: skip
ONE_SYMBOL = {
    "characters": ("a" * 900, {}),
    "bytes": ("a" * 900, {"level": "byte"}),
    "words": ("a " * 450, {"level": "word", "pretokenized": True}),
    "newlines": ("\n" * 900, {"embedding_size": 0, "cell": "gru"}),
    "lines": ("a\n" * 300, {"document": "line"}),
}


def looked_at(*arguments):
    """Return the exit code of a command in this process, and the line with which it failed."""
    try:
        return run_command([str(argument) for argument in arguments]), ""
    except Exception as error:
        message, code = explain(error)
        return code, message


@pytest.mark.slow
@pytest.mark.parametrize("kind", ONE_SYMBOL)
def test_a_text_of_one_symbol_is_trained_on_sampled_scored_and_looked_at(folder, capsys, kind):
    text, options = ONE_SYMBOL[kind]
    model = load(train(folder, text, **options))
    if kind in ("characters", "newlines"):  # nothing else can be drawn
        assert (model.sample(seed=1, length=30), model.score(text[:50]).loss) == (text[:30], 0)
    assert model.score(text[:50]).num_unknown == 0
    codes = {}
    for view, more in VIEWS.items():
        codes[view], message = looked_at("inspect", view, "-m", folder / "run", *more)
        assert codes[view] == 0 or message
        assert "CHARRNN_DEBUG" not in message, (view, message)
    assert codes["summary"] == codes["surprisal"] == codes["curve"] == 0
    assert set(codes.values()) <= {0, 2}, codes
    shown = capsys.readouterr().out
    assert not {"nan", "inf"} & set(shown.split())


CORPUS, OUTPUT = "[/nope] :smile: [link=x].txt", "[/run] :smile: [bold]"


@pytest.mark.slow
def test_markup_in_texts_prompts_and_names_stays_as_it_is(folder):
    """The names are paths: in a folder called "[" there is what Rich would take for an end tag."""
    (folder / "[").mkdir()
    (folder / CORPUS).write_text((CORPUS + "\n") * 60)
    options = ["--max-steps", "6", "--sample-every", "3", "--hidden-size", "5", "--threads", "1"]
    code, shown = on_terminal(
        "train", CORPUS, "-o", OUTPUT, *options, cwd=folder, columns=150
    ).end()
    assert code == 0
    assert f"charrnn sample -m '{OUTPUT}'" in shown
    code, shown = on_terminal("sample", "-m", OUTPUT, "-p", CORPUS, "-v", cwd=folder).end()
    assert code == 0
    assert shown.startswith(f"model {OUTPUT}, seed ")
    assert shown.split("\r\n")[1].startswith(CORPUS)
