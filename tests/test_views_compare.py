"""The n-gram beside its definition, and comparisons whose answers are known."""

from collections import Counter

import jsonschema
import numpy as np
import pytest
import view_schemas
from commands import refusal
from model_directories import make_model, make_tokenizer
from viewing import INTERVAL, drawing_of, json_of

import charrnn
from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.model import LanguageModel
from charrnn.modeldir import read_model, write_model
from charrnn.tokenizer import Tokenizer
from charrnn.tokenizer_json import byte_alphabet
from charrnn.views.compare import (
    CLASSES,
    class_of,
    compare_models,
    compare_ngram,
    sentence,
    split_arguments,
    token_classes,
)
from charrnn.views.envelope import open_text, validation_part
from charrnn.views.ngram import NGram, ngram_nats

ROW = {
    "type": "object",
    "required": ["name", "share", "bits_a", "bits_b", "saved", "of_total"],
    "additionalProperties": False,
    "properties": {
        "name": {"enum": list(CLASSES)},
        "saved": INTERVAL,
        **{key: {"type": "number"} for key in ("share", "bits_a", "bits_b", "of_total")},
    },
}
RESULT = {
    "name_b": {"type": "string"},
    "num_tokens": {"type": "integer", "minimum": 1},
    **{key: {"type": "number"} for key in ("bits_a", "bits_b", "chance")},
    "saved": INTERVAL,
    "classes": {"type": "array", "minItems": 1, "items": ROW},
    "difference": {"type": "array", "items": {"type": ["number", "null"]}},
    "sentence": {"type": "string"},
    "tokens": {"type": "array", "items": {"type": "string"}},
}


def plain_witten_bell(train, context, token, order, vocab_size):
    if order == 0:
        return 1 / vocab_size
    before = tuple(context[len(context) - order + 1 :])
    after = Counter(
        train[i] for i in range(order - 1, len(train)) if tuple(train[i - order + 1 : i]) == before
    )
    lower = plain_witten_bell(train, context, token, order - 1, vocab_size)
    if not after:
        return lower
    return (after[token] + len(after) * lower) / (sum(after.values()) + len(after))


def test_the_ngram_is_witten_bells():
    rng = np.random.default_rng(0)
    train, text = rng.integers(0, 5, 300).tolist(), rng.integers(0, 6, 30).tolist()
    for order, found in enumerate(NGram(np.array(train), 7, 4).probabilities(np.array(text)), 1):
        for place in range(5, 30):
            expected = plain_witten_bell(train, text[:place], text[place], order, 7)
            assert found[place] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("train", [[0, 1, 0, 2], [2, 1, 2, 0], [0, 0, 1]])
def test_a_context_that_was_seen_only_at_the_end_of_the_text_says_nothing_new(train):
    model = NGram(np.array(train), 3, 3)
    for following in range(3):
        probabilities = list(model.probabilities(np.array([*train[-2:], following])))
        assert np.isfinite(probabilities).all()
        assert probabilities[2][2] == probabilities[0][2]  # nothing follows the last token


@pytest.mark.parametrize("length", [0, 1, 3, 12])
def test_the_ngrams_probabilities_sum_to_one(length):
    rng = np.random.default_rng(length)
    model = NGram(rng.integers(0, 9, 2000), 11, 6)
    assert abs(model.distribution(rng.integers(0, 11, length)).sum() - 1) < 1e-12


def test_the_ngram_finds_the_order_of_a_markov_source():
    rng = np.random.default_rng(2)
    text = [0, 1]
    for noise in rng.random(20_000):
        text.append((text[-2] + 2 * text[-1]) % 3 if noise < 0.9 else int(noise * 1e6) % 3)
    order, nats = ngram_nats(np.array(text[:15_000]), np.array(text[15_000:]), 3)
    shares = np.array([0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3])
    assert order == 3
    assert nats.mean() == pytest.approx(-(shares * np.log(shares)).sum(), rel=0.05)


def make_directory(path, symbols, bias):
    """Write a model that predicts softmax(bias) whatever it read."""
    config = ModelConfig(len(symbols), hidden_size=4, embedding_size=3)
    weights = LanguageModel(config).to_weights()
    weights["output.bias"] = np.array(bias, np.float32)
    path.mkdir()
    write_model(path, config, Tokenizer("char", tuple(symbols)), weights)
    return path


@pytest.fixture
def pair(tmp_path):
    """Two models without memory: one knows that `a` is frequent, one does not."""
    first = make_directory(tmp_path / "a", "\nAab", np.log([0.1, 0.1, 0.7, 0.1]))
    second = make_directory(tmp_path / "b", "\nAab", np.log([0.25] * 4))
    letters = np.array(list("\nAab"))
    text = "".join(letters[np.random.default_rng(6).choice(4, 8000, p=[0.1, 0.1, 0.7, 0.1])])
    (tmp_path / "text").write_text(text)
    return first, second, tmp_path / "text", text


def test_the_bits_saved_are_those_of_the_closed_form(pair):
    first, second, path, text = pair
    stored = read_model(first)
    found = compare_models(stored, read_model(second), open_text(stored, [str(path)]))
    assert np.isnan(found.difference[0])
    gains = {"a": np.log2(0.7 / 0.25)} | dict.fromkeys("\nAb", np.log2(0.1 / 0.25))
    np.testing.assert_allclose(found.difference[1:], [gains[c] for c in text[1:]], atol=1e-5)
    assert found.saved.mean == pytest.approx(found.bits_b - found.bits_a)
    expected = 0.7 * gains["a"] + 0.3 * gains["b"]
    assert found.saved.low < expected < found.saved.high
    rows = {row.name: row for row in found.classes}
    assert set(rows) == {"letter", "upper", "newline"}
    assert rows["upper"].saved.mean == pytest.approx(gains["A"], abs=1e-5)
    assert sum(row.of_total for row in rows.values()) == pytest.approx(1)
    assert sum(row.share for row in rows.values()) == pytest.approx(1)
    assert sentence(found).startswith("A saves")


def test_a_model_against_itself_is_no_difference(pair):
    stored = read_model(pair[0])
    found = compare_models(stored, stored, open_text(stored, [str(pair[2])]))
    assert found.saved == (0, 0, 0)
    assert found.chance == 0
    assert "no sure difference" in sentence(found)


def test_equal_models_with_other_vocabularies_are_compared_on_what_both_know(pair, tmp_path):
    first, _, path, text = pair
    other = make_directory(tmp_path / "c", "ab\nxyz", np.log([0.7, 0.1, 0.1, 0.05, 0.03, 0.02]))
    stored = read_model(first)
    found = compare_models(stored, read_model(other), open_text(stored, [str(path)]))
    np.testing.assert_allclose(found.difference[1:], 0, atol=1e-5)
    assert len(found.ids) == len(text) - text.count("A")
    assert "B does not know" in found.warnings[0]


def test_models_of_other_levels_are_refused(pair, tmp_path):
    stored = read_model(pair[0])
    config = ModelConfig(256, hidden_size=4, embedding_size=3)
    (tmp_path / "bytes").mkdir()
    names = tuple(byte_alphabet())
    weights = LanguageModel(config).to_weights()
    write_model(tmp_path / "bytes", config, Tokenizer("byte", names), weights)
    text = open_text(stored, [str(pair[2])])
    with pytest.raises(ConfigError, match="one vocabulary"):
        compare_models(stored, read_model(tmp_path / "bytes"), text)


def test_a_model_without_memory_equals_a_unigram_counted_on_much_text(pair):
    stored = read_model(pair[0])
    text = open_text(stored, [str(pair[2])])
    letters = np.array(list("\nAab"))
    more = letters[np.random.default_rng(5).choice(4, 50_000, p=[0.1, 0.1, 0.7, 0.1])]
    (pair[2].parent / "corpus").write_text("".join(more))
    found = compare_ngram(stored, text, [str(pair[2].parent / "corpus")])
    assert abs(found.saved.mean) < 0.01
    assert found.name_b.startswith("1-gram")
    with pytest.raises(ConfigError, match="the text itself"):
        compare_ngram(stored, text, [str(pair[2])])
    with pytest.raises(ConfigError, match="--corpus"):
        compare_ngram(stored, text)


def test_the_corpus_counts_without_the_text_at_its_end(pair, tmp_path):
    stored = read_model(pair[0])
    whole = pair[3] + "ab" * 300
    (tmp_path / "whole").write_text(whole)
    (tmp_path / "end").write_text("ab" * 300)
    text = open_text(stored, [str(tmp_path / "end")])
    found = compare_ngram(stored, text, [str(tmp_path / "whole")])
    assert any("not counted" in warning for warning in found.warnings)
    assert found.bits_b > 1  # "ab" again and again would cost nothing to who had counted it


def test_arguments_are_models_as_long_as_they_are(pair):
    first, second, text = (str(path) for path in pair[:3])
    assert split_arguments([first, second, text], None) == (first, second, [text])
    assert split_arguments([first, text, text], None) == (first, None, [text, text])
    assert split_arguments([second, text], first) == (first, second, [text])
    assert split_arguments([], None) == (None, None, [])


def test_each_character_has_one_class():
    found = [class_of(char) for char in ("a", "Q", "7", " ", "\t", "\n", ";", "", "\u00e9")]
    names = "letter upper digit space space newline punctuation other letter"
    assert found == names.split()
    assert token_classes(make_tokenizer().pieces).max() < len(CLASSES)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    text = "".join(f"{i} and {i % 5}: [x/] \x1b[2J\n" for i in range(300))
    (folder / "text.txt").write_text(text)
    sizes = {"hidden_size": 9, "embedding_size": 5, "num_layers": 1}
    list(
        charrnn.train(folder / "text.txt", output=folder / "run", max_steps=20, threads=1, **sizes)
    )
    return folder / "run"


def test_against_the_ngram_of_its_own_training_part(run):
    stored = read_model(run)
    found = compare_ngram(stored, validation_part(stored), order=4)
    assert found.saved.high < 0  # 20 steps do not beat counting
    assert sentence(found).startswith("A loses")


def test_json_follows_the_schema(run):
    value = json_of(["compare", run], RESULT)
    result = value["result"]
    assert len(result["difference"]) == len(result["tokens"]) == value["data"]["n"]
    assert result["difference"][0] is None
    assert json_of(["compare", run, run], RESULT)["result"]["saved"]["mean"] == 0


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_drawing_fits_and_obeys_nothing_foreign(run, columns):
    assert "bits saved" in drawing_of(["compare", "-m", run, "--all"], columns)


@pytest.mark.parametrize(("option", "value"), [("--order", "3"), ("--corpus", "text")])
def test_two_models_are_compared_without_options_of_ngrams(tmp_path, option, value):
    for name in ("a", "b"):
        make_model(tmp_path / name)
    code, message = refusal("inspect", "compare", tmp_path / "a", tmp_path / "b", option, value)
    assert (code, message.split(":")[0]) == (2, f"{option} is of n-grams")


def test_of_a_short_text_nothing_is_sure_and_no_interval_is_said(pair, tmp_path):
    short = tmp_path / "short"
    short.write_text(pair[3][:300])
    stored = read_model(pair[0])
    found = compare_models(stored, read_model(pair[1]), open_text(stored, [str(short)]))
    assert np.isnan(found.saved.low)
    assert "nothing is sure, for want of text" in sentence(found)
    assert "nan" not in sentence(found)
    result = json_of(["compare", pair[0], pair[1], short], RESULT)["result"]
    jsonschema.validate(result, view_schemas.RESULTS["compare"])
    assert result["saved"]["low"] is None
