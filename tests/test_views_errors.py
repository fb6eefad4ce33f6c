"""A cascade of oracles on texts for which the right rows are known by hand."""

import math

import numpy as np
import pytest
from test_views_compare import make_directory
from viewing import INTERVAL, drawing_of, json_of

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError, CorpusError
from charrnn.model import LanguageModel
from charrnn.modeldir import read_model, write_model
from charrnn.tokenizer import Tokenizer
from charrnn.views.envelope import Inspected, open_text
from charrnn.views.errors import NAMES, cascade, letters_of, measure_errors, sentence, word_rules

RESULT = {
    "rows": {
        "type": "array",
        "minItems": len(NAMES),
        "maxItems": len(NAMES),
        "items": {
            "type": "object",
            "required": ["name", "count", "share", "bits", "bits_share", "control"],
            "properties": {"share": INTERVAL, "name": {"enum": list(NAMES)}},
        },
    },
    "num_tokens": {"type": "integer"},
    "error_rate": INTERVAL,
    "sentence": {"type": "string"},
}


def test_words_are_recent_rare_and_start_where_they_should():
    text = "cat dog. cat9 emu"
    recent, rare, start = word_rules(text, "cat " * 6 + "dog " * 5)
    assert [i for i in range(len(text)) if np.isfinite(recent[i])] == [10, 11]
    assert recent[10] == 9
    assert [text[i] for i in np.flatnonzero(start)] == ["c", "d", "c", "e"]
    assert "".join(text[i] for i in np.flatnonzero(rare)) == "dogemu"


def test_each_error_falls_to_the_first_rule_that_fits():
    shares = np.array([np.nan, 0.25, 0.125, 0.45, 0.9, 0.25])
    rules = [np.zeros(6, bool) for _ in NAMES]
    rules[0][1] = rules[4][1] = rules[4][2] = rules[4][4] = True
    rules[7], rules[8] = np.nan_to_num(shares) >= 0.4, np.ones(6, bool)
    found = cascade(rules, -np.log(shares), [])
    rows = {row.name: row for row in found.rows}
    counts = {name: row.count for name, row in rows.items() if row.count}
    assert counts == {"n-gram": 1, "rare word": 1, "boost": 1, "rest": 1}
    assert sum(row.share.mean for row in found.rows) == pytest.approx(1)
    assert sum(row.bits_share.mean for row in found.rows) == pytest.approx(1)
    assert rows["rare word"].bits == pytest.approx(2)  # three bits, one of them free
    assert rows["rare word"].control == 1  # the one that was right
    assert found.num_tokens == 5
    assert found.error_rate.mean == pytest.approx(0.8)


def test_without_errors_there_is_nothing_to_explain():
    with pytest.raises(CorpusError, match="no error"):
        cascade([np.ones(4, bool)] * 9, np.array([np.nan, 0.1, 0.2, 0.1]), [])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model that knows nothing, and a text in which `ab` repeats within noise."""
    folder = tmp_path_factory.mktemp("errors")
    symbols = "\n .abcdefgh"
    directory = make_directory(folder / "model", symbols, np.zeros(len(symbols)))
    rng = np.random.default_rng(2)
    words = ["".join(rng.choice(list("cdefgh"), 6)) for _ in range(2000)]
    (folder / "corpus").write_text(" ".join(f"{word} ab" for word in words[:1000]))
    (folder / "text").write_text(" ".join(f"{word} ab" for word in words[1000:1400]) + ".\n")
    return directory, folder


def test_the_view_finds_what_the_text_is_made_of(model):
    directory, folder = model
    stored = read_model(directory)
    text = open_text(stored, [str(folder / "text")])
    found = measure_errors(stored, text, [str(folder / "corpus")])
    rows = {row.name: row for row in found.rows}
    assert found.error_rate.mean == 1
    assert rows["n-gram"].count > 400 * 2  # the b of each ab, its blank, ..
    assert rows["rare word"].count > 400 * 4
    assert rows["rest"].count == 0
    assert sum(row.count for row in found.rows) == len(text.ids) - 1
    assert "'rare word'" in sentence(found)


def test_words_as_tokens_are_refused(tmp_path):
    symbols = ("<unk>", "a", " ")
    config = ModelConfig(3, hidden_size=4, embedding_size=3)
    (tmp_path / "words").mkdir()
    weights = LanguageModel(config).to_weights()
    write_model(tmp_path / "words", config, Tokenizer("word", symbols), weights)
    text = Inspected(np.array([1, 2, 1]), None, 0, None, None, "text")
    with pytest.raises(ConfigError, match="characters or bytes"):
        measure_errors(read_model(tmp_path / "words"), text, ["x"])


def test_special_symbols_are_no_letters():
    tokenizer = Tokenizer("char", ("<s>", "</s>", "a", "b"))
    assert letters_of(tokenizer, np.array([0, 2, 3, 1])) == "\nab\n"


def test_json_follows_the_schema(model):
    directory, folder = model
    arguments = ["errors", folder / "text", "-m", directory, "--corpus", folder / "corpus"]
    result = json_of(arguments, RESULT)["result"]
    assert math.isclose(sum(row["share"]["mean"] for row in result["rows"]), 1)


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_drawing_fits_the_terminal(model, columns):
    directory, folder = model
    arguments = ["errors", folder / "text", "-m", directory, "--corpus", folder / "corpus"]
    assert "rare word" in drawing_of(arguments, columns)


def test_the_sentence_claims_no_more_than_a_largest_part_and_gives_its_interval(model):
    directory, folder = model
    stored = read_model(directory)
    text = open_text(stored, [str(folder / "text")])
    found = measure_errors(stored, text, [str(folder / "corpus")])
    largest = max(found.rows, key=lambda row: row.count)
    assert largest.share.mean < 0.9
    ends = f"[{largest.share.low:.0%}, {largest.share.high:.0%}]"
    assert f"the largest part ({largest.share.mean:.0%} {ends}) falls to" in sentence(found)
    for row in found.rows:
        assert row.bits_share.low <= row.bits_share.mean <= row.bits_share.high
        assert row.bits_share.mean == pytest.approx(row.bits / sum(r.bits for r in found.rows))
