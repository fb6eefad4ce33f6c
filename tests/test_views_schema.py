"""All views: JSON that is alone and whole, and drawings that fit whatever they are shown on."""

import contextlib
import copy
import json
import re
import signal
import subprocess

import jsonschema
import numpy as np
import pytest
import terminals
import view_schemas
from rich.cells import cell_len
from typer.testing import CliRunner

import charrnn
from charrnn.cli.app import app
from charrnn.cli.inspect import VIEWS
from charrnn.cli.inspect import app as inspect_app
from charrnn.display.views import waiting

WORDS = ["the", "cat", '"a dog"', "(barks)", "[x/]", "Run", "it's", "12", "{go}", "\x1b[2J", "語"]
TESTED = [view for view in VIEWS if view != "report"]
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
TEXT, SHORT, LABELS = "{folder}/text.txt", "{folder}/short.txt", "{folder}/labels.tsv"
ARGUMENTS = {
    "surprisal": [SHORT, "--top-k", "2", "--adapt"],
    "compare": [SHORT],
    "cells": [TEXT, "--budget", "fast", "--feature", "the=the"],
    "cell": ["h:1:3"],
    "copying": [TEXT, "-n", "2", "-l", "80"],
    "probe": [LABELS],
    "saliency": ["--back", "20"],
    "ablate": ["--units", "3"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a text that no terminal may obey, labels, and a tiny model of the text."""
    folder = tmp_path_factory.mktemp("schema")
    rng = np.random.default_rng(1)
    lines = [" ".join(rng.choice(WORDS, size=rng.integers(3, 8))) + "." for _ in range(600)]
    labels = [f"{i % 2}\t{'cat' if i % 2 else 'Run'} {lines[i][:20]}" for i in range(80)]
    (folder / "text.txt").write_text("\n".join(lines) + "\n")
    (folder / "short.txt").write_text("\n".join(lines[-30:]))
    (folder / "labels.tsv").write_text("\n".join(labels) + "\n")
    sizes = {"hidden_size": 12, "embedding_size": 4, "num_layers": 2}
    list(
        charrnn.train(folder / "text.txt", output=folder / "run", max_steps=40, threads=1, **sizes)
    )
    return folder


def inspected(folder, view, *options, **environment):
    """Return what the view writes on stdout; on stderr it must write nothing."""
    arguments = [word.format(folder=folder) for word in ARGUMENTS.get(view, [])]
    command = ["inspect", view, "-m", str(folder / "run"), *arguments, *options]
    known = {"NO_COLOR": None, "FORCE_COLOR": None, "COLUMNS": None, "TERM": "xterm-256color"}
    found = CliRunner().invoke(app, command, env={**known, **environment})
    assert found.exit_code == 0, found.output
    assert found.stderr == ""
    return found.stdout


def test_every_view_is_tested_and_has_a_schema():
    names = [command.name for command in inspect_app.registered_commands]
    assert set(TESTED) == set(names) - {"report"} == set(view_schemas.RESULTS)


@pytest.mark.slow
@pytest.mark.parametrize("view", TESTED)
def test_json_is_one_object_alone_on_stdout_that_follows_its_schema(folder, view):
    out = inspected(folder, view, "--json", *(["--causal"] if view == "cells" else []))
    assert out.isascii()
    assert out.endswith("}\n")
    assert out.count("\n") == 1
    value = json.loads(out, parse_constant=lambda name: pytest.fail(name))
    schema = view_schemas.schema_of(view)
    jsonschema.validate(value, schema)
    for place, key in places_of(value):
        changed = copy.deepcopy(value)
        inner = changed
        for step in place:
            inner = inner[step]
        del inner[key]
        assert not jsonschema.Draft202012Validator(schema).is_valid(changed), (place, key)


def places_of(value):
    """Yield the keys of the envelope and of the result, and where they are."""
    for key in value:
        yield (), key
    for name in ("model", "settings", "result"):
        for key in value[name]:
            yield (name,), key


@pytest.mark.slow
@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("view", TESTED)
def test_no_line_is_wider_than_the_terminal(folder, view, columns):
    out = inspected(folder, view, COLUMNS=str(columns), FORCE_COLOR="1")
    plain = ESCAPE.sub("", out)
    assert ESCAPE.search(out)
    assert "\x1b" not in plain
    widest = max(plain.splitlines(), key=cell_len)
    assert cell_len(widest) <= columns, widest


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment", [{"NO_COLOR": "1", "FORCE_COLOR": "1"}, {}], ids=["NO_COLOR", "no terminal"]
)
@pytest.mark.parametrize("view", TESTED)
def test_without_colours_nothing_is_written_that_a_terminal_obeys(folder, view, environment):
    out = inspected(folder, view, COLUMNS="40", **environment)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", out)
    assert max(map(cell_len, out.splitlines())) <= 40
    if view in ("surprisal", "cells", "cell", "compare", "saliency", "probe"):
        assert re.search(r"^[0-9 ]*[0-9]{5}", out, re.MULTILINE)  # digits stand in for colours


SLOW = set(TESTED) - {"curve", "embed"}  # that take more than two seconds on a large model


@pytest.mark.slow
@pytest.mark.parametrize("view", sorted(SLOW))
def test_a_long_view_tells_how_far_it_is(folder, view, monkeypatch):
    told = []

    @contextlib.contextmanager
    def listening():
        yield lambda what, done, total: told.append((what, done, total))

    monkeypatch.setattr(waiting, "waiting", listening)
    inspected(folder, view)
    assert told
    assert all(what and 0 <= done <= total for what, done, total in told)
    assert told[-1][1] == told[-1][2] or view in ("cells", "copying", "probe")


def interrupted(folder, *arguments):
    """Start a view on a terminal, press Ctrl-C when it says how long; return its end."""
    command = ["inspect", *arguments, "-m", folder / "run"]
    terminal = terminals.charrnn(*command, stdout=subprocess.DEVNULL)
    terminal.read_until("0:0")  # the time that is left
    terminal.type("\x03")
    return terminal.end()


@pytest.fixture(scope="module")
def long(folder):
    """A text that takes some seconds to read."""
    (folder / "long.txt").write_text((folder / "text.txt").read_text() * 80)
    return folder / "long.txt"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("view", "options"),
    [
        ("cells", ["--causal", "--budget", "deep"]),
        ("surprisal", ["--exact"]),
        ("compare", []),
        ("memory", ["--targets", "8192"]),
        ("report", ["--budget", "deep"]),
    ],
)
def test_ctrl_c_ends_a_view_by_its_signal_and_gives_the_cursor_back(
    folder, long, view, options, tmp_path
):
    more = ["-o", tmp_path / "page.html"] if view == "report" else []
    code, seen = interrupted(folder, view, long, *options, *more)
    assert not (tmp_path / "page.html").exists()
    assert code == -signal.SIGINT
    assert seen.rfind("\x1b[?25h") > seen.rfind("\x1b[?25l")
    assert "━" in seen
    after = ESCAPE.sub("", seen[seen.rfind("\x1b[?25h") :])
    assert len(after.split()) < 20
    assert after.count("\n") <= 2
    assert "Traceback" not in seen
