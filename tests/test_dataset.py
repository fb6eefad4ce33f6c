"""Texts to a vocabulary and two arrays of ids: where they are cut, and what is said about it."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.config import TrainConfig
from charrnn.dataset import load_dataset
from charrnn.errors import ConfigError, CorpusError
from charrnn.tokenizer import Tokenizer
from charrnn.tokenizer_json import BOS, EOS, UNK

PEAK = """
import resource, sys
from charrnn.config import TrainConfig
from charrnn.dataset import load_dataset
load_dataset([sys.argv[1]], TrainConfig(level=sys.argv[2], document=sys.argv[3]))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak >> 20 if sys.platform == "darwin" else peak >> 10)
"""


@pytest.fixture
def load(tmp_path):
    def run(text, valid=None, tokenizer=None, grow_from=None, **options):
        data = text.encode() if isinstance(text, str) else text
        (tmp_path / "text").write_bytes(data)
        if valid is not None:
            (tmp_path / "valid").write_text(valid)
            valid = [str(tmp_path / "valid")]
        config = TrainConfig(**options)
        names = [str(tmp_path / "text")]
        return load_dataset(names, config, valid=valid, tokenizer=tokenizer, grow_from=grow_from)

    return run


def spelled(dataset, part):
    return dataset.tokenizer.decode(getattr(dataset, part))


@given(size=st.integers(2, 400), frac=st.sampled_from([0.0, 0.01, 0.1, 0.25, 0.5, 0.9]))
def test_the_training_part_is_the_first_of_a_stream(tmp_path_factory, size, frac):
    path = tmp_path_factory.mktemp("cut") / "text"
    text = "".join(chr(0x4E00 + i) for i in range(size))
    path.write_text(text, encoding="utf-8")
    found = load_dataset([str(path)], TrainConfig(valid_frac=frac))
    cut = max(2, int(size * (1 - frac)))
    if size - cut < 2:
        cut = size
    assert (spelled(found, "train"), spelled(found, "valid")) == (text[:cut], text[cut:])
    short = ("the text is too short to hold a part out",)
    assert found.notes == (short if cut == size and frac else ())


@pytest.mark.parametrize(
    ("frac", "train", "valid"),
    [
        (0.1, ["aaa", "bb", "c"], ["dddd"]),
        (0.5, ["aaa", "bb"], ["c", "dddd"]),  # 9 of 18 tokens
        (0.55, ["aaa"], ["bb", "c", "dddd"]),
        (0.9, ["aaa"], ["bb", "c", "dddd"]),  # never nothing to train on
        (0, ["aaa", "bb", "c", "dddd"], []),
    ],
)
def test_documents_are_cut_at_the_border_before(load, frac, train, valid):
    found = load("aaa\nbb\n\nc\ndddd\n", document="line", valid_frac=frac)
    framed = ["".join(f"<{part}>" for part in parts) for parts in (train, valid)]
    symbols = np.array(["<", ">", "a", "b", "c", "d"])
    assert found.tokenizer.vocabulary == (BOS, EOS, "a", "b", "c", "d")
    assert ["".join(symbols[ids]) for ids in (found.train, found.valid)] == framed


def test_documents_far_apart_are_cut_at_the_same_border(load):
    lines = ["x" * 700_000, "y" * 600_000, "z" * 900_000, "w" * 500_000]
    found = load("\n".join(lines), document="line", valid_frac=0.3)
    assert spelled(found, "train") == lines[0] + lines[1]
    assert spelled(found, "valid") == lines[2] + lines[3]


def test_one_document_is_not_cut(load):
    found = load("one line", document="line", valid_frac=0.5)
    assert len(found.valid) == 0
    assert found.notes == ("the text is one document: nothing is held out; give --valid FILE",)


def test_a_held_out_file_is_read_with_the_vocabulary_of_the_text(load):
    found = load("abcab", valid="abxcy")
    assert spelled(found, "train") == "abcab"
    assert spelled(found, "valid") == "abc"
    assert found.valid_unknown == 2
    assert found.tokenizer.vocabulary == ("a", "b", "c")
    assert found.valid_records[0].sha256 == hashlib.sha256(b"abxcy").hexdigest()


def test_a_held_out_file_of_one_token_is_left_out_and_said(load):
    found = load("abcab", valid="ax")
    assert len(found.valid) == 0
    assert found.notes == ("the held-out part has under 2 tokens: nothing is held out",)
    assert len(found.valid_records) == 1


def test_words_are_counted_in_the_training_part_alone(load):
    text = "a a b b b c\n" + "d " * 8 + "a b\n"
    options = {"level": "word", "pretokenized": True, "valid_frac": 0.6}
    found = load(text, vocab_size=2, **options)
    assert found.tokenizer.vocabulary == (UNK, "b", "a")
    assert spelled(found, "train") == "a a b b b <unk> <unk> "
    assert found.valid_unknown == 9


def test_a_given_vocabulary_is_used_and_an_old_one_is_grown(load):
    given_one = Tokenizer("char", ("c", "b", "a"))
    assert load("abcab", tokenizer=given_one).tokenizer == given_one
    assert spelled(load("abcabxxab", tokenizer=given_one, valid_frac=0.2), "train") == "abcab"
    assert load("abd", grow_from=given_one).tokenizer.vocabulary == ("c", "b", "a", "d")


@pytest.mark.parametrize(("text", "size"), [("", "no text"), ("x", "1 token")])
def test_a_text_that_is_too_small_is_refused(load, text, size):
    with pytest.raises(CorpusError, match=f"text: {size} in it; needs at least 2 tokens"):
        load(text)


def test_two_tokens_are_enough(load):
    assert len(load("aa").train) == 2
    assert load("a", document="file").train.tolist() == [0, 2, 1]


def test_standard_input_cannot_be_both_texts():
    with pytest.raises(CorpusError, match="both TEXT and --valid"):
        load_dataset(["-"], TrainConfig(), valid=["-"])


@pytest.mark.parametrize("document", ["stream", "file"])
def test_many_files_are_one_stream_or_many_documents(tmp_path, document):
    for name in ("b.txt", "a.txt"):
        (tmp_path / name).write_text(name[0] * 3)
    found = load_dataset([str(tmp_path)], TrainConfig(document=document, valid_frac=0))
    assert spelled(found, "train") == "aaabbb"
    assert len(found.train) == (6 if document == "stream" else 10)
    assert [record.path for record in found.records] == [
        str(tmp_path / "a.txt"), str(tmp_path / "b.txt"),
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "level", "document"),
    [
        ("the quick brown fox\n", "char", "stream"),
        ("η γρήγορη καφέ αλεπού\n", "char", "stream"),
        ("no end of the line ", "char", "line"),
        ("short\n", "char", "line"),
        ("para\ngraph\n\n", "byte", "paragraph"),
        ("the quick brown fox\n", "word", "stream"),
        ("withoutanyblankatall", "word", "line"),
    ],
)
def test_memory_does_not_grow_with_the_text(tmp_path, line, level, document):
    peaks = []
    for size in (8_000_000, 24_000_000):
        path = tmp_path / "text"
        data = line.encode()
        path.write_bytes(data * (size // len(data)))
        # a child of sh, which is small: a process begins with the peak of the one that starts it
        command = ["sh", "-c", '"$@"; exit', "sh", sys.executable, "-c", PEAK]
        command += [str(path), level, document]
        environment = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
        done = subprocess.run(command, capture_output=True, check=True, env=environment)
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 12, peaks  # MB


@pytest.mark.parametrize("document", ["stream", "file", "line", "paragraph"])
def test_at_byte_level_any_bytes_are_a_text(load, document):
    data = "été\r\n".encode("latin-1") + b"\x89PNG\x00\xed\xa0\x80\xff" + "Ωδή\n\nend".encode()[:-1]
    found = load(data, level="byte", document=document, valid_frac=0)
    spelled = b"".join(found.tokenizer.piece_bytes[i] for i in found.train)
    kept = {"line": data.replace(b"\n", b""), "paragraph": data.replace(b"\n\n", b"")}
    assert spelled == kept.get(document, data)


def test_a_held_out_file_of_bytes_is_read_as_bytes_too(load, tmp_path):
    found = load(b"ab\xe9", level="byte", valid="x\u00e9")
    assert found.valid.tolist() == list("x\u00e9".encode())


def test_at_byte_level_a_named_encoding_is_decoded(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"\xe9t\xe9")
    config = TrainConfig(level="byte", valid_frac=0)
    assert bytes(load_dataset([str(path)], config, encoding="latin-1").train) == "été".encode()
    with pytest.raises(CorpusError, match=r"is not utf-8: byte 0 \(0xe9\)"):
        load_dataset([str(path)], config, encoding="utf-8")
    with pytest.raises(ConfigError, match="--encoding bytes needs --level byte, got char"):
        load_dataset([str(path)], TrainConfig(), encoding="bytes")


@pytest.mark.parametrize("level", ["char", "byte", "word"])
@pytest.mark.parametrize("document", ["stream", "line", "paragraph"])
def test_newlines_of_windows_are_kept_counted_and_said(load, level, document):
    text = "a b\r\nc\r\n\r\nd \r\ne\rf\n"
    found = load(text, level=level, document=document, valid_frac=0)
    note = found.notes[0]
    assert len(found.notes) == (2 if level == "word" else 1)
    assert note.startswith("the text has 4 carriage returns before newlines: they are symbols too")
    assert "tr -d '\\r' < TEXT > NEW" in note
    assert ("such empty lines end no paragraph" in note) == (document == "paragraph")
    assert spelled(found, "train").count("\r") == 5


def test_newlines_of_windows_are_counted_across_chunks(load):
    size = 1 << 20
    text = "x" * (size - 1) + "\r\n" + "y" * (size - 3) + "\r\n" + "z\ry"
    assert load(text, level="char").notes[0].startswith("the text has 2 carriage returns before")


def test_a_text_without_them_and_a_given_vocabulary_say_nothing(load):
    assert load("a\rb\nc\n" * 9).notes == ()
    assert load("a\r\nb" * 9, tokenizer=Tokenizer("char", ("\n", "\r", "a", "b"))).notes == ()
    assert load("a\r\nb\r\n<unk> " * 9, level="word", pretokenized=True).notes == ()


def test_a_vocabulary_of_all_words_is_said_to_learn_nothing_of_new_ones(load):
    text = "the cat, the dog, the cat\n" * 9
    assert [
        note for note in load(text, level="word").notes if "nothing is learnt about <unk>" in note
    ]
    assert load(text + "a cow", level="word", min_count=2, valid_frac=0).notes == ()
    assert load(text, level="word", vocab_size=5).notes == ()
    assert load(text).notes == load(text, level="byte").notes == ()
