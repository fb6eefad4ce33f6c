"""The first views, on small models whose answers are known."""

import json
import math

import jsonschema
import numpy as np
import pytest
from typer.testing import CliRunner

import charrnn
from charrnn.cli.app import app
from charrnn.config import ModelConfig
from charrnn.display.views.page import mark
from charrnn.display.views.surprisal import peak_lines
from charrnn.errors import ConfigError
from charrnn.evaluate import evaluate
from charrnn.model import LanguageModel
from charrnn.modeldir import read_model, write_model
from charrnn.tokenizer import Tokenizer
from charrnn.views.compare import compare_ngram
from charrnn.views.curve import Curve, evaluations_of, late_gain, read_curve, verdict
from charrnn.views.envelope import finite, open_text, validation_part
from charrnn.views.skipped import with_skipped
from charrnn.views.summary import bigram_loss, sentence, summarize
from charrnn.views.surprisal import group_by, measure_surprisal

TEXT = "".join(f"{i} and {i % 5}: [x/] \x1b[2J\n" for i in range(300))
SCHEMA = {
    "type": "object",
    "required": ["schema", "view", "model", "data", "settings", "units", "result", "warnings"],
    "additionalProperties": False,
    "properties": {
        "schema": {"const": "charrnn.inspect/1"},
        "view": {"enum": ["summary", "curve", "surprisal"]},
        "model": {"type": "object", "required": ["path", "sha256", "cell_type", "level"]},
        "data": {
            "type": ["object", "null"],
            "required": ["path", "sha256", "part", "n", "unknown"],
        },
        "settings": {"type": "object"},
        "units": {"type": "object"},
        "result": {"type": "object"},
        "warnings": {"type": "array", "items": {"type": "string"}},
    },
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("views")
    (folder / "text.txt").write_text(TEXT)
    sizes = {"hidden_size": 17, "embedding_size": 5, "num_layers": 2}
    list(
        charrnn.train(folder / "text.txt", output=folder / "run", max_steps=60, threads=1, **sizes)
    )
    return folder / "run"


@pytest.fixture
def blind(tmp_path):
    """A model of zeros: every symbol is as likely as any other."""
    symbols = tuple("abcdefg")
    config = ModelConfig(len(symbols), hidden_size=6, embedding_size=4)
    weights = LanguageModel(config).to_weights()
    (tmp_path / "blind").mkdir()
    write_model(tmp_path / "blind", config, Tokenizer("char", symbols), weights)
    (tmp_path / "text").write_text("abcagfeadd")
    return read_model(tmp_path / "blind"), [str(tmp_path / "text")]


def test_a_model_of_zeros_is_surprised_by_log_v_everywhere(blind):
    stored, texts = blind
    found = measure_surprisal(stored, open_text(stored, texts), top_k=3)
    assert math.isnan(found.nats[0])
    np.testing.assert_allclose(found.nats[1:], math.log(7), rtol=1e-6)
    np.testing.assert_allclose(found.entropy[1:], math.log(7), rtol=1e-6)
    assert found.rank.tolist() == [0] + [1] * 9
    np.testing.assert_allclose(found.ratio[1:], 1, rtol=1e-6)
    np.testing.assert_allclose(found.guess_shares[:-1], 1 / 7, rtol=1e-6)
    assert found.guesses[-1].tolist() == [-1, -1, -1]
    assert found.totals.perplexity == pytest.approx(7)


@pytest.mark.slow
def test_the_totals_are_the_evaluation_loss(run):
    stored = read_model(run)
    text = validation_part(stored)
    assert text.part == "validation"
    model = LanguageModel(stored.config)
    model.load_weights(stored.weights)
    sizes = (stored.tokenizer.token_chars(), stored.tokenizer.token_bytes())
    expected = evaluate(model, text.ids, sizes)
    totals = measure_surprisal(stored, text).totals
    assert totals.loss == pytest.approx(expected.loss, abs=1e-9)
    assert (totals.num_tokens, totals.num_chars) == (expected.num_tokens, expected.num_chars)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert totals.loss == pytest.approx(json.loads(lines[-1])["valid_loss"], abs=1e-9)


def test_the_intervals_of_the_totals_are_around_them_in_their_own_units(run):
    stored = read_model(run)
    found = measure_surprisal(stored, validation_part(stored))
    totals, ends = found.totals, found.intervals
    for name in ("loss", "bits_per_char", "bits_per_byte", "perplexity", "top1", "entropy"):
        assert ends[name].mean == pytest.approx(getattr(totals, name))
    assert ends["excess"].mean == pytest.approx(totals.loss - totals.entropy)
    assert ends["loss"].low < totals.loss < ends["loss"].high
    assert ends["bits_per_char"].low == pytest.approx(ends["loss"].low / math.log(2))
    assert ends["perplexity"].high == pytest.approx(math.exp(ends["loss"].high))


def test_the_summary_reads_the_held_out_loss_that_the_run_recorded_and_the_best_n_gram(run):
    stored = read_model(run)
    found = summarize(stored, run)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert found.valid_loss == pytest.approx(json.loads(lines[-1])["valid_loss"], abs=1e-6)
    assert found.valid.low < found.valid_loss < found.valid.high
    comparison = compare_ngram(stored, validation_part(stored))
    assert comparison.name_b.startswith(f"{found.ngram}-gram")
    assert found.floors["ngram"] <= found.floors["bigram"]
    assert found.floors["ngram"] == pytest.approx(comparison.bits_b * math.log(2), rel=0.01)
    assert f"({found.ngram}-gram)" in sentence(found) or "(lzma)" in sentence(found)


def test_rank_entropy_and_guesses_follow_from_the_probabilities(run, tmp_path):
    stored = read_model(run)
    (tmp_path / "text").write_text(TEXT[:200])
    text = open_text(stored, [str(tmp_path / "text")])
    found = measure_surprisal(stored, text, top_k=4, exact=True)
    model = LanguageModel(stored.config)
    model.load_weights(stored.weights)
    import torch

    with torch.no_grad():
        logits, _ = model(torch.from_numpy(text.ids.astype(np.int64))[:, None])
    shares = logits[:-1, 0].double().softmax(-1).numpy()
    for index in range(1, 200):
        row, true = shares[index - 1], shares[index - 1, text.ids[index]]
        assert found.rank[index] == 1 + (row > true * (1 + 1e-6)).sum()
        assert found.nats[index] == pytest.approx(-math.log(true), abs=1e-5)
        assert found.entropy[index] == pytest.approx(-(row * np.log(row)).sum(), abs=1e-5)
        assert found.guesses[index - 1, 0] == row.argmax()
        assert found.guess_shares[index - 1, 0] == pytest.approx(row.max(), abs=1e-5)


def test_unknown_symbols_are_named_with_their_places_and_shown_where_they_stand(run, tmp_path):
    (tmp_path / "text").write_text("é1 and\n ü 2: ß")
    arguments = ["inspect", "surprisal", str(tmp_path / "text"), "-m", str(run)]
    value = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    skipped = value["result"]["skipped"]
    assert [(one["before"], one["symbol"]) for one in skipped] == [(0, "é"), (7, "ü"), (11, "ß")]
    assert value["result"]["totals"]["num_unknown"] == 3
    lines = CliRunner().invoke(app, arguments, env={"NO_COLOR": "1"}).stdout.splitlines()
    assert "3 characters are not in the vocabulary" in " ".join(lines[:2])
    at = lines.index("é1·and⏎")
    assert lines[at + 1][0] == "?"
    assert lines[at + 2] == "·ü·2:·ß"
    assert [i for i, mark in enumerate(lines[at + 3]) if mark == "?"] == [1, 6]


def test_the_unknown_symbols_change_no_number(run, tmp_path):
    (tmp_path / "plain").write_text("1 and 2: [x/]")
    (tmp_path / "odd").write_text("1 éand 2é: [x/é]é")
    stored = read_model(run)
    texts = [open_text(stored, [str(tmp_path / name)]) for name in ("plain", "odd")]
    plain, odd = (measure_surprisal(stored, text, top_k=2) for text in texts)
    np.testing.assert_array_equal(plain.nats, odd.nats)
    wider, pieces, flags = with_skipped(odd, list("1 and 2: [x/]"), texts[1].skipped)
    assert "".join(pieces) == "1 éand 2é: [x/é]é"
    assert "".join(p for p, lost in zip(pieces, flags, strict=True) if lost) == "éééé"
    np.testing.assert_array_equal(wider.guesses[~flags], odd.guesses)
    assert np.isnan(wider.nats[flags]).all()


def test_words_and_lines_are_the_text_and_their_sums_the_whole():
    pieces = list("To be,  or\nnot ")
    nats = np.arange(len(pieces), dtype=np.float64)
    nats[0] = np.nan
    words, sums, _ = group_by(pieces, nats, "word")
    assert words == ["To ", "be,  ", "or\n", "not "]
    lines, line_sums, starts = group_by(pieces, nats, "line")
    assert lines == ["To be,  or\n", "not "]
    assert starts.tolist() == [0, 11]
    assert sums.sum() == line_sums.sum() == np.nansum(nats)


@pytest.mark.parametrize("view", ["summary", "curve", "surprisal"])
def test_json_is_alone_on_stdout_without_nan_and_follows_the_schema(run, view):
    result = CliRunner().invoke(app, ["inspect", view, "-m", str(run), "--json"])
    assert result.exit_code == 0, result.output
    assert result.stdout.isascii()
    value = json.loads(result.stdout, parse_constant=lambda name: pytest.fail(name))
    jsonschema.validate(value, SCHEMA)
    assert value["view"] == view


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("view", ["summary", "curve", "surprisal"])
def test_what_is_drawn_fits_the_terminal_and_obeys_no_foreign_text(run, view, columns):
    arguments = ["inspect", view, "-m", str(run)]
    arguments += ["--top-k", "2"] if view == "surprisal" else []
    environment = {"COLUMNS": str(columns), "NO_COLOR": "1"}
    result = CliRunner().invoke(app, arguments, env=environment)
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= columns


def test_dynamic_evaluation_is_told_apart_from_the_static_loss(run, tmp_path):
    text = tmp_path / "refrain.txt"
    text.write_text("the refrain comes again and again\n" * 60)
    found = {}
    for flags in ([], ["--adapt"]):
        arguments = ["inspect", "surprisal", str(text), "-m", str(run), "--json", *flags]
        found[bool(flags)] = json.loads(CliRunner().invoke(app, arguments).stdout)["result"]
    adapted = found[True].pop("adapted")
    assert found[False].pop("adapted") is None
    assert found[True] == found[False]
    assert adapted["gain"] == pytest.approx(found[True]["totals"]["loss"] - adapted["loss"])
    assert adapted["gain"] > 0.1
    assert adapted["perplexity"] == pytest.approx(math.exp(adapted["loss"]))
    arguments = ["inspect", "surprisal", str(text), "-m", str(run), "--adapt"]
    drawn = " ".join(CliRunner().invoke(app, arguments).stdout.split())
    assert f"{adapted['loss']:.4f} nats per token" in drawn
    assert "not comparable with a static loss" in drawn


def test_totals_can_be_had_alone(run):
    arguments = ["inspect", "surprisal", "-m", str(run)]
    whole = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)["result"]
    alone = json.loads(CliRunner().invoke(app, [*arguments, "--json", "--totals"]).stdout)["result"]
    assert alone["totals"] == whole["totals"]
    assert (alone["tokens"], alone["nats"], alone["guesses"]) == ([], [], [])
    drawn = CliRunner().invoke(app, [*arguments, "--totals"]).stdout
    assert f"{whole['totals']['loss']:.4f}" in drawn
    assert "most surprising" not in drawn


@pytest.mark.parametrize("colored", [True, False])
def test_the_surprising_symbol_is_marked_by_an_arrow_where_there_is_no_colour(run, colored):
    found = measure_surprisal(read_model(run), validation_part(read_model(run)))
    pieces = list(TEXT[-len(found.nats) :])
    head, first, *_ = (line.plain for line in peak_lines(found, pieces, colored))
    place = int(np.nanargmax(found.nats))
    before, symbol = (mark("".join(part)) for part in (pieces[:place][-24:], pieces[place]))
    assert head == "most surprising"
    assert first.endswith(before + ("" if colored else " → ") + symbol)


def test_the_rate_of_unknown_words_is_that_of_the_words(tmp_path):
    symbols = ("<unk>", " ", "\n", "the", "cat", "sat")
    config = ModelConfig(len(symbols), hidden_size=6, embedding_size=4)
    weights = LanguageModel(config).to_weights()
    write_model(tmp_path, config, Tokenizer("word", symbols), weights)
    (tmp_path / "text").write_text("the cat the xyz, sat\n\n")
    text = open_text(read_model(tmp_path), [str(tmp_path / "text")])
    totals = measure_surprisal(read_model(tmp_path), text).totals
    assert totals.unknown_rate == pytest.approx(2 / 5)  # of cat, the, xyz, the comma and sat


def test_a_model_without_its_text_asks_for_one(run, tmp_path):
    stored = read_model(run)
    record = json.loads((run / "train.json").read_text())
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (moved / name).write_bytes((run / name).read_bytes())
    with pytest.raises(ConfigError, match="give the text"):
        validation_part(read_model(moved))
    assert record["texts"]
    assert summarize(stored, run).floors["uniform"] == math.log(stored.config.vocab_size)
    assert summarize(read_model(moved), moved).floors == {}


def test_a_bigram_model_of_a_coin_that_alternates_is_nearly_certain():
    train = np.array([0, 1] * 500)
    assert bigram_loss(train, train, np.array([0.5, 0.5])) < 0.01
    rng = np.random.default_rng(0)
    coin = rng.integers(2, size=20_000)
    assert bigram_loss(coin, coin, np.array([0.5, 0.5])) == pytest.approx(math.log(2), abs=1e-3)


def test_the_curve_says_whether_it_still_learns():
    falling = [{"step": s, "valid_loss": 3 - s / 100} for s in range(10, 110, 10)]
    assert late_gain(falling) == pytest.approx(0.2)
    flat = [{"step": s, "valid_loss": 1.5} for s in range(10, 110, 10)]
    assert late_gain(flat) == 0
    assert late_gain(flat[:2]) is None


def test_the_last_evaluation_is_on_the_curve_once_and_only_at_its_own_step():
    def line(step, loss, **more):
        return {"event": "eval", "step": step, "valid_loss": loss, **more}

    way = [line(5, 2.0), line(10, 1.5)]
    assert evaluations_of([*way, line(10, 1.5, final=True, best_step=10)]) == way
    assert evaluations_of([*way, line(12, 1.5, final=True, best_step=10)]) == way
    last = line(12, 1.4, final=True, best_step=12)
    assert evaluations_of([*way, last, {"event": "log", "step": 3}]) == [*way, last]
    assert evaluations_of([line(3, None)]) == []


def test_numbers_that_are_not_finite_become_null():
    assert finite({"a": [1.5, math.nan], "b": (math.inf, "x")}) == {
        "a": [1.5, None],
        "b": [None, "x"],
    }


def test_the_verdict_on_a_rising_curve_is_overfitting(run):
    curve = read_curve(run)
    assert verdict(curve)
    assert curve.samples
    assert 0 <= curve.clipped <= 1


def curve_of(*losses):
    """Return the curve of a run whose held-out losses these are, a step of ten apart."""
    lines = [{"step": 10 * (i + 1), "valid_loss": loss} for i, loss in enumerate(losses)]
    best = min(lines, key=lambda line: line["valid_loss"])
    return Curve([], lines, [], best["step"], best["valid_loss"], None, late_gain(lines))


def test_a_loss_that_hardly_rose_since_its_best_is_no_overfitting():
    rising = verdict(curve_of(2, 1.5, 1.6, 1.7, 1.75, 1.8))
    assert "overfits" in rising
    assert "by 0.300 nats" in rising
    assert "levelled off" in verdict(curve_of(2, 1.5, 1.503, 1.502, 1.501, 1.502))
