"""Verbatim matches beside a plain search, and the view around them."""

import json
import time

import numpy as np
import pytest
from viewing import INTERVAL, drawing_of, json_of

import charrnn
from charrnn.errors import ConfigError, CorpusError
from charrnn.modeldir import read_model
from charrnn.views.copying import (
    check_samples_and_corpus,
    measure_copying,
    own_sources,
    parse_samples,
    read_corpus,
    sentence,
    without,
)
from charrnn.views.intervals import mean_interval, mean_intervals
from charrnn.views.matches import Match, find_matches

LETTERS = "ab\nd\u00e9\U0001f600"
GROUP = {
    "type": "object",
    "required": ["longest", "covered", "passages"],
    "properties": {
        "longest": INTERVAL,
        "covered": {"type": "object", "additionalProperties": INTERVAL},
        "passages": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["length", "longest", "start", "offset", "line", "match", "covered"],
            },
        },
    },
}
RESULT = {
    "samples": GROUP,
    "control": {"anyOf": [GROUP, {"type": "null"}]},
    "excess": {"type": ["object", "null"], "additionalProperties": INTERVAL},
    "corpus_chars": {"type": "integer"},
    "sentence": {"type": "string"},
}


def plain_longest(corpus, text):
    best = Match(0, 0, 0)
    for start in range(len(text)):
        length = best.length + 1
        while start + length <= len(text) and text[start : start + length] in corpus:
            best = Match(length, start, corpus.find(text[start : start + length]))
            length += 1
    return best


def plain_cover(corpus, text, least):
    covered = np.zeros(len(text), bool)
    for start in range(len(text) - least + 1):
        if text[start : start + least] in corpus:
            covered[start : start + least] = True
    return covered


def random_text(rng, size, letters):
    return "".join(rng.choice(list(letters), size))


@pytest.mark.parametrize("seed", range(200))
def test_matches_equal_a_plain_search(seed):
    rng = np.random.default_rng(seed)
    letters = LETTERS[: rng.integers(1, 6)]
    corpus = random_text(rng, rng.integers(0, 200), letters)
    texts = [random_text(rng, rng.integers(0, 60), letters + "Z") for _ in range(seed % 3 + 1)]
    if corpus:
        place = int(rng.integers(len(corpus)))
        texts.append(texts[0] + corpus[place : place + 40] + "a")
    found = find_matches(corpus, texts, (1, 3, 4, 7, 20))
    assert found.longest == [plain_longest(corpus, text) for text in texts]
    for least, covers in found.covered.items():
        for text, covered in zip(texts, covers, strict=True):
            np.testing.assert_array_equal(covered, plain_cover(corpus, text, least))


@pytest.mark.slow
def test_twenty_samples_against_five_megabytes_take_seconds():
    rng = np.random.default_rng(3)
    words = [random_text(rng, rng.integers(1, 9), "etaoinshrdlu") for _ in range(5000)]
    corpus = " ".join(rng.choice(words, 1_200_000))[:5_000_000]
    texts = [corpus[i * 1000 : i * 1000 + 500] + " ".join(rng.choice(words, 80)) for i in range(20)]
    start = time.perf_counter()
    found = find_matches(corpus, texts, (20, 50, 100))
    assert time.perf_counter() - start < 10
    assert min(match.length for match in found.longest) >= 500


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copying")
    rng = np.random.default_rng(5)
    words = [random_text(rng, 5, "abcdefgh") for _ in range(300)]
    text = " ".join(rng.choice(words, 1500)) + "\x1b[2J [/x]"
    (folder / "text.txt").write_text(text)
    sizes = {"hidden_size": 8, "embedding_size": 4, "num_layers": 1}
    list(charrnn.train(folder / "text.txt", output=folder / "run", max_steps=3, threads=1, **sizes))
    return folder / "run", text


def test_copied_samples_are_told_from_the_author_repeating_himself(run):
    directory, text = run
    copied = [text[i : i + 300] for i in range(100, 1100, 100)]
    found = measure_copying(read_model(directory), text, copied)
    assert all(p.longest == 300 and p.covered[100] == 1 for p in found.samples.passages)
    assert found.control is not None
    assert found.corpus_chars == int(len(text) * 0.9)  # the held-out part is cut out
    assert found.excess[50].low > 0.5
    assert "copies" in sentence(found)
    assert all(text[p.offset :].startswith(p.match) for p in found.samples.passages)


def test_held_out_passages_as_samples_are_no_more_than_the_control(run):
    directory, text = run
    fresh = [text[i : i + 200] for i in range(int(len(text) * 0.9), len(text) - 200, 60)]
    found = measure_copying(read_model(directory), text, fresh)
    assert found.excess[50].low <= 0
    assert "not surely more" in sentence(found)


def test_a_part_is_cut_out_only_where_it_stands_whole():
    assert without("abcdefg", "cde") == "abfg"
    assert without("abcdefg", "cdx") == "abcdefg"
    assert without("abc", "") == "abc"


def test_samples_are_json_lines_or_ended_by_nul_or_one_text():
    lines = "\n".join(json.dumps({"text": text, "seed": 1}) for text in ("a\nb", "c")) + "\n"
    assert parse_samples(lines) == ["a\nb", "c"]
    assert parse_samples("a\nb\0c\0") == ["a\nb", "c"]
    assert parse_samples("a\n{b}\n") == ["a\n{b}\n"]
    with pytest.raises(CorpusError, match="empty"):
        parse_samples("\0")


def test_standard_input_is_read_once():
    with pytest.raises(ConfigError, match="read once"):
        check_samples_and_corpus("-", "-")
    check_samples_and_corpus("-", None)


def test_json_follows_the_schema(run, tmp_path):
    directory, text = run
    arguments = ["copying", directory.parent / "text.txt", "-m", directory, "-n", 3, "-l", 50]
    value = json_of(arguments, RESULT)
    passages = value["result"]["samples"]["passages"]
    assert [passage["length"] for passage in passages] == [50, 50, 50]
    (tmp_path / "samples").write_text(text[10:90])
    value = json_of([*arguments[:4], "--samples", tmp_path / "samples"], RESULT)
    assert value["result"]["samples"]["passages"][0]["longest"] == 80
    assert value["result"]["samples"]["longest"]["low"] is None


def test_without_a_corpus_it_is_the_text_that_the_model_was_made_from(run):
    directory, _ = run
    arguments = ["-m", directory, "-n", 2, "-l", 40]
    given = json_of(["copying", directory.parent / "text.txt", *arguments], RESULT)
    own = json_of(["copying", *arguments], RESULT)
    assert own["result"] == given["result"]
    assert own["settings"]["corpus"] == [str(directory.parent / "text.txt")]


def test_a_model_whose_text_is_gone_asks_for_the_corpus(run, tmp_path):
    directory, _ = run
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_bytes((directory / name).read_bytes())
    with pytest.raises(ConfigError, match="give the text: charrnn inspect copying CORPUS"):
        own_sources(read_model(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_drawing_fits_and_obeys_nothing_foreign(run, tmp_path, columns):
    directory, text = run
    (tmp_path / "samples").write_text("zz" + text[-30:] + "q")
    arguments = ["copying", directory.parent / "text.txt", "-m", directory]
    drawn = drawing_of([*arguments, "--samples", tmp_path / "samples"], columns)
    assert "held out" in drawn
    drawing_of([*arguments, "-n", "3", "-l", "60"], columns)


def test_intervals_know_that_neighbours_hang_together():
    rng = np.random.default_rng(0)
    blocks = np.repeat(np.arange(40), 50)
    values = rng.normal(size=40)[blocks] + 0.1 * rng.normal(size=2000)
    wide, narrow = mean_interval(values, blocks), mean_interval(values)
    assert (wide.mean, narrow.mean) == pytest.approx((values.mean(), values.mean()))
    assert wide.high - wide.low > 4 * (narrow.high - narrow.low)


@pytest.mark.slow
def test_about_95_of_100_intervals_hold_the_true_mean():
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(200):
        _, low, high = mean_interval(rng.exponential(size=80), seed=seed)
        held += low <= 1 <= high
    assert 176 <= held <= 199


def test_values_that_are_not_known_do_not_count():
    values = np.array([[1.0, np.nan], [3.0, 5.0], [np.nan, 7.0]])
    first, second = mean_intervals(values, np.array([4, 4, 9]))
    assert (first.mean, second.mean) == (2, 6)
    assert np.isnan(mean_interval(np.array([2.0])).low)
    assert np.isnan(mean_interval(np.zeros(0)).mean)


def test_blocks_of_unequal_size_weigh_by_their_size():
    blocks = np.repeat(np.arange(6), [1, 2, 3, 50, 60, 70])
    assert mean_interval(np.full(len(blocks), 2.5), blocks) == pytest.approx((2.5, 2.5, 2.5))


def test_a_corpus_of_any_bytes_reads_as_the_samples_of_bytes_do(tmp_path):
    path = tmp_path / "corpus"
    path.write_bytes("é".encode() + b"t\xe9\n")
    assert read_corpus([str(path)], "byte") == "ét\ufffd\n"
    with pytest.raises(CorpusError, match="is not utf-8: byte 3"):
        read_corpus([str(path)])


@pytest.mark.slow
def test_held_out_text_that_is_shorter_than_a_sample_is_no_control(run):
    directory, text = run
    found = measure_copying(read_model(directory), text, [text[: len(text) // 2]])
    assert found.control is None
    assert "characters, less than a sample" in found.warnings[0]
    assert "nothing here can tell" in sentence(found)
