"""charrnn from Python: what it scores, with documents and bytes, and what it refuses."""

import json
import shutil

import pytest
from typer.testing import CliRunner

import charrnn
from charrnn.cli.app import app
from charrnn.errors import CharRNNError, ConfigError
from charrnn.modeldir import document_of, read_model

NAMES = "".join(f"{first}{last}\n" for first in ("an", "bo", "cle") for last in "abcdeimo" * 4)
NEW = "anna\nbob\ncleo\nbo\n"
SIZES = {"hidden_size": 12, "threads": 1, "max_steps": 20}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("api")


def trained(folder, name, text, **options):
    directory = folder / name
    if not directory.exists():
        path = folder / f"{name}.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        for _ in charrnn.train(path, output=directory, **SIZES, **options):
            pass
    return directory


@pytest.fixture(scope="module", params=["line", "paragraph", "file", "stream"])
def run(request, folder):
    separator = "\n" if request.param == "paragraph" else ""
    text = NAMES.replace("\n", "\n" + separator)
    return trained(folder, request.param, text, document=request.param, valid_frac=0)


def test_a_text_is_scored_as_the_command_line_scores_it(run, folder):
    path = folder / "new.txt"
    path.write_text(NEW)
    shown = CliRunner().invoke(app, ["inspect", "surprisal", str(path), "-m", str(run), "--json"])
    totals = json.loads(shown.stdout)["result"]["totals"]
    model = charrnn.load(run)
    score = model.score(NEW)
    assert score.loss == pytest.approx(totals["loss"], abs=1e-6)
    assert (score.num_tokens, score.num_unknown) == (totals["num_tokens"], totals["num_unknown"])
    nats = [nats for _, nats in model.surprisal(NEW) if nats == nats]
    assert sum(nats) == pytest.approx(totals["nats"], rel=1e-5)


def test_a_model_says_itself_what_a_document_is(run, folder):
    alone = folder / f"alone-{run.name}"
    alone.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        shutil.copy(run / name, alone)
    assert document_of(read_model(alone)) == run.name
    assert charrnn.load(alone).score(NEW) == charrnn.load(run).score(NEW)


def test_a_run_that_starts_from_a_model_has_its_documents(folder):
    lines = trained(folder, "line", NAMES, document="line", valid_frac=0)
    text = folder / "line.txt"
    for given, wanted in (({}, "line"), ({"document": "stream"}, "stream")):
        output = folder / f"grown-{wanted}"
        for _ in charrnn.train(text, output=output, init_from=lines, **SIZES, **given):
            pass
        assert read_model(output).config.document == wanted


def test_surprisals_of_bytes_can_be_told_apart_and_joined(folder):
    directory = trained(folder, "bytes", "αβγ naïve\n" * 30, level="byte")
    pieces = [piece for piece, _ in charrnn.load(directory).surprisal("naïve γ")]
    assert len(pieces) == len("naïve γ".encode())
    assert "".join(pieces).encode("utf-8", "surrogateescape").decode() == "naïve γ"
    assert len(set(pieces)) == len(set("naïve γ".encode()))


def test_one_stop_is_a_string_and_many_are_a_sequence(folder):
    model = charrnn.load(trained(folder, "stream", NAMES, document="stream", valid_frac=0))
    free = model.sample(seed=3, length=200)
    assert model.sample(seed=3, length=200, stop="an") == free.partition("an")[0]
    assert model.sample(seed=3, length=200, stop=["an"]) == free.partition("an")[0]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 10**30}, "seed"),
        ({"seed": "a"}, "seed"),
        ({"on_unknown": "foo"}, "foo"),
        ({"prompt": b"an"}, "bytes"),
        ({"prompt": None}, "NoneType"),
        ({"temprature": 1}, "temprature"),
        ({"top_k": "5"}, "top_k"),
    ],
)
def test_arguments_that_make_no_sense_are_named(folder, options, named):
    model = charrnn.load(trained(folder, "stream", NAMES, document="stream", valid_frac=0))
    with pytest.raises(ConfigError, match=named):
        model.sample(**options)


@pytest.mark.parametrize("text", [123, None, b"an", "\ud800n"])
def test_what_is_no_text_is_not_scored(folder, text):
    model = charrnn.load(trained(folder, "stream", NAMES, document="stream", valid_frac=0))
    with pytest.raises(CharRNNError, match="text"):
        model.score(text)


@pytest.mark.parametrize(
    ("texts", "options", "named"),
    [
        (42, {}, "42"),
        ([1], {}, "1"),
        ("{}", {"tie_weights": "yes"}, "tie_weights"),
        ("{}", {"device": 3}, "device"),
        ("{}", {"hidden": 3}, "hidden"),
    ],
)
def test_nothing_is_made_for_a_training_that_makes_no_sense(folder, texts, options, named):
    path = folder / "some.txt"
    path.write_text(NAMES)
    texts = path if texts == "{}" else texts
    with pytest.raises(ConfigError, match=named):
        next(charrnn.train(texts, output=folder / "never", **options))
    assert not (folder / "never").exists()


def test_a_resume_with_another_encoding_is_refused(folder):
    directory = trained(folder, "latin", "naïve été\n".encode("latin-1") * 30, encoding="latin-1")
    text = folder / "latin.txt"
    with pytest.raises(ConfigError, match="--encoding utf-16"):
        next(charrnn.train(text, output=directory, resume=True, encoding="utf-16", **SIZES))


def test_a_text_of_one_symbol_is_certain_to_the_end(folder):
    path = folder / "one.txt"
    path.write_text("a" * 500)
    *_, end = charrnn.train(path, output=folder / "one", **SIZES)
    assert end.best_loss == 0
    assert end.best_bits_per_char == 0


def test_another_text_is_read_in_the_encoding_of_the_own_one_or_as_said(folder):
    directory = trained(folder, "latin", "naïve été\n".encode("latin-1") * 30, encoding="latin-1")
    losses = []
    for name, flags in (("latin-1", []), ("utf-16", ["--encoding", "utf-16"])):
        path = folder / f"other-{name}.txt"
        path.write_bytes(("été naïve\n" * 9).encode(name))
        arguments = ["inspect", "surprisal", str(path), "-m", str(directory), "--json", *flags]
        shown = CliRunner().invoke(app, arguments)
        assert shown.exit_code == 0, shown.output
        totals = json.loads(shown.stdout)["result"]["totals"]
        losses.append((totals["loss"], totals["num_unknown"]))
    assert losses[0] == losses[1]
    assert losses[0][1] == 0
