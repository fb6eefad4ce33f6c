"""All views on every kind of network and token: each follows its schema, or says why it cannot."""

import json

import jsonschema
import numpy as np
import pytest
import view_schemas
from typer.testing import CliRunner

import charrnn
from charrnn.cli.app import app
from charrnn.cli.inspect import VIEWS
from charrnn.errors import CharRNNError

WORDS = ["the", "cat", '"a dog"', "(barks)", "Run", "it's", "12", "{go}", "wörter"]
KINDS = {
    "gru": {"cell": "gru", "num_layers": 2},
    "rnn": {"cell": "rnn", "nonlinearity": "relu", "embedding_size": 0},
    "peephole": {"cell": "peephole"},
    "bytes": {"level": "byte", "cell": "gru"},
    "words": {"level": "word", "document": "line", "tie_weights": True, "embedding_size": 10},
    "documents": {"document": "line"},
}
TEXT, SHORT, LABELS = "{folder}/text.txt", "{folder}/short.txt", "{folder}/labels.tsv"
ARGUMENTS = {
    "surprisal": [SHORT, "--top-k", "2"],
    "compare": [SHORT],
    "cells": [TEXT, "--budget", "fast", "--feature", "the=the"],
    "cell": ["h:0:3"],
    "copying": ["-n", "2", "-l", "40"],
    "probe": [LABELS],
    "saliency": ["--back", "4", "--at", "6"],
    "ablate": ["--units", "3"],
}
REFUSED = {("words", "errors"): "the tokens are words"}  # what a view cannot be made of


LONG = {"peephole", "documents"}  # much like lstm and words: in the long part
PARAMS = [pytest.param(kind, marks=[pytest.mark.torture] * (kind in LONG)) for kind in KINDS]


@pytest.fixture(scope="module", params=PARAMS)
def kind(request, tmp_path_factory):
    """The name of a kind, and a folder with a tiny network of it, its text and labels."""
    folder = tmp_path_factory.mktemp(request.param)
    rng = np.random.default_rng(1)
    lines = [" ".join(rng.choice(WORDS, size=rng.integers(4, 9))) + "." for _ in range(500)]
    labels = [f"{i % 2}\t{'cat' if i % 2 else 'Run'} {lines[i][:20]}" for i in range(80)]
    (folder / "text.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "short.txt").write_text("\n".join(lines[-30:]), encoding="utf-8")
    (folder / "labels.tsv").write_text("\n".join(labels) + "\n", encoding="utf-8")
    sizes = {"hidden_size": 10, "embedding_size": 4, "num_layers": 1, **KINDS[request.param]}
    run = charrnn.train(
        folder / "text.txt", output=folder / "run", max_steps=20, threads=1, **sizes
    )
    list(run)
    return request.param, folder


@pytest.mark.slow
@pytest.mark.parametrize("view", [view for view in VIEWS if view != "report"])
def test_every_view_follows_its_schema_on_every_kind_of_network(kind, view):
    name, folder = kind
    arguments = [word.format(folder=folder) for word in ARGUMENTS.get(view, [])]
    command = ["inspect", view, "-m", str(folder / "run"), *arguments, "--json"]
    found = CliRunner().invoke(app, command)
    if (name, view) in REFUSED:
        assert isinstance(found.exception, CharRNNError)
        assert REFUSED[name, view] in str(found.exception)
        return
    assert found.exit_code == 0, (found.output, found.exception)
    value = json.loads(found.stdout, parse_constant=lambda constant: pytest.fail(constant))
    jsonschema.validate(value, view_schemas.schema_of(view))


@pytest.mark.slow
def test_the_report_of_every_kind_of_network_holds_every_view(kind):
    name, folder = kind
    page = folder / "page.html"
    command = [
        "inspect",
        "report",
        str(folder / "text.txt"),
        "-m",
        str(folder / "run"),
        "--budget",
        "fast",
        "-o",
        str(page),
    ]
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 0, (found.output, found.exception)
    views = json.loads((folder / "page.json").read_text())["result"]["views"]
    missing = {view["view"]: view["why"] for view in views if view["why"] is not None}
    assert set(missing) == {view for kind_name, view in REFUSED if kind_name == name}
