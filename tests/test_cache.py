"""Collected texts on disk: found again alike, not trusted when damaged, the user's alone."""

import gzip
import os
import stat
from dataclasses import replace

import numpy as np
import pytest

from charrnn import cache, encoding
from charrnn.cache import Scheme, find_slot, worth_keeping
from charrnn.config import TrainConfig
from charrnn.dataset import load_dataset
from charrnn.errors import CorpusError

TEXT = "the cat sat on the mat, and the dog didn't\n\nwhy not? «ως» <unk>\n" * 40
WORDS = TrainConfig(level="word", vocab_size=9, document="line", valid_frac=0.25)
SCHEME = Scheme("word", False, "line", "utf-8")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the cache is; everything is large enough for it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cache, "SMALLEST", 100)
    return tmp_path / "charrnn"


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text"
    path.write_text(TEXT)
    return path


def load(*paths, config=WORDS, **options):
    return load_dataset([str(path) for path in paths], config, **options)


def same(one, other):
    """Whether two datasets are bit for bit the same."""
    for name in ("train", "valid"):
        a, b = getattr(one, name), getattr(other, name)
        if a.dtype != b.dtype or not np.array_equal(a, b):
            return False
    rest = [replace(found, train=None, valid=None) for found in (one, other)]
    return rest[0] == rest[1]


def encodes_again(monkeypatch, action):
    """Whether `action` encodes a text, and does not find it."""
    seen, collect = [], encoding.collect
    with monkeypatch.context() as patch:
        patch.setattr(encoding, "collect", lambda *given: seen.append(1) or collect(*given))
        action()
    return bool(seen)


CONFIGS = {
    "words": WORDS,
    "pretokenized": replace(WORDS, pretokenized=True, vocab_size=0),
    "paragraphs": replace(WORDS, document="paragraph", valid_frac=0.5),
    "stream": replace(WORDS, document="stream", min_count=2),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_text_that_is_found_gives_the_same_dataset(folder, text, monkeypatch, config):
    first = load(text, config=config)
    assert len(os.listdir(folder)) == 2  # noqa: PTH208
    second = load(text, config=config)
    assert not encodes_again(monkeypatch, lambda: load(text, config=config))
    assert same(first, second)
    monkeypatch.setattr(cache, "SMALLEST", 1 << 40)
    assert encodes_again(monkeypatch, lambda: load(text, config=config))
    assert same(first, load(text, config=config))


@pytest.mark.parametrize("level", ["char", "byte"])
def test_characters_and_bytes_are_kept_where_they_must_be_unpacked(folder, tmp_path, text, level):
    config = TrainConfig(level=level)
    first = load(text, config=config)
    assert list(folder.iterdir()) == []
    packed = tmp_path / "text.gz"
    packed.write_bytes(gzip.compress(os.urandom(500).hex().encode() + TEXT.encode()))
    first, second = load(packed, config=config), load(packed, config=config)
    assert len(os.listdir(folder)) == 2  # noqa: PTH208
    assert same(first, second)


def test_sizes_of_vocabularies_and_cuts_share_what_is_kept(folder, text, monkeypatch):
    first = load(text)
    other = replace(WORDS, vocab_size=3, valid_frac=0.5, min_count=2)
    given = {"tokenizer": first.tokenizer}
    for options in ({"config": other}, given, {"grow_from": first.tokenizer}, {"valid": [text]}):
        options = {k: [str(text)] if k == "valid" else v for k, v in options.items()}
        assert not encodes_again(monkeypatch, lambda o=options: load(text, **o))
    assert same(first, load(text, **given))


def test_the_content_counts_and_not_the_name(folder, text, tmp_path, monkeypatch):
    load(text)
    other = tmp_path / "other"
    other.write_bytes(text.read_bytes())
    assert not encodes_again(monkeypatch, lambda: load(other))
    assert load(other).records[0].path == str(other)
    status = other.stat()
    other.write_text(TEXT.replace("the", "xhe"))
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert encodes_again(monkeypatch, lambda: load(other))
    assert "xhe" in load(other).tokenizer.vocabulary


@pytest.mark.parametrize(
    "change",
    [
        {"document": "file"}, {"pretokenized": True}, {"level": "char"}, {"encoding": "latin-1"},
    ],
)  # fmt: skip
def test_another_scheme_has_another_place(folder, tmp_path, change):
    path = tmp_path / "t.gz"
    path.write_bytes(gzip.compress(os.urandom(500)))
    (tmp_path / "t").write_bytes(path.read_bytes())
    keys = {find_slot([str(path)], scheme).key for scheme in (SCHEME, replace(SCHEME, **change))}
    keys.add(find_slot([str(tmp_path / "t")], SCHEME).key)  # not unpacked
    keys.add(find_slot([str(path), str(path)], SCHEME).key)
    assert len(keys) == 4


def damages(data):
    yield b""
    yield data[:-1]
    yield data + b"\0"
    for place in range(0, len(data), max(1, len(data) // 50)):
        yield data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["ids", "json"])
def test_a_damaged_file_is_ignored_and_written_anew(folder, text, monkeypatch, suffix):
    first = load(text)
    (kept,) = folder.glob(f"*.{suffix}")
    whole = kept.read_bytes()
    for data in damages(whole):
        kept.write_bytes(data)
        assert same(first, load(text))
        assert kept.read_bytes() == whole
    kept.unlink()
    assert encodes_again(monkeypatch, lambda: load(text))
    assert kept.read_bytes() == whole


def test_what_is_kept_is_for_the_user_alone(folder, text):
    load(text)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("obstacle", ["file", "directory in the way", "full"])
def test_a_cache_that_cannot_be_written_is_done_without(folder, text, monkeypatch, obstacle):
    if obstacle == "file":
        folder.write_text("in the way")
    elif obstacle == "full":

        def fail(*_, **__):
            raise cache.StoreError("No space left on device")

        monkeypatch.setattr(cache.ArraySpool, "publish", fail)
    else:
        load(text)
        for path in list(folder.iterdir()):
            path.unlink()
            path.mkdir()
    assert encodes_again(monkeypatch, lambda: load(text))
    assert spelled_whole(load(text))


def spelled_whole(dataset):
    return len(dataset.train) + len(dataset.valid) > 500


def test_a_text_that_changes_while_it_is_read_is_not_kept(folder, text, monkeypatch):
    collect = encoding.collect

    def meddle(texts, *given):
        text.write_text(TEXT + "more\n")
        return collect(texts, *given)

    monkeypatch.setattr(encoding, "collect", meddle)
    load(text)
    assert list(folder.iterdir()) == []


def test_only_large_files_that_are_slow_to_encode_are_worth_it(folder, text, tmp_path):
    name = str(text)
    assert worth_keeping([name], SCHEME)
    assert worth_keeping([name], replace(SCHEME, level="char", encoding="utf-16"))
    assert not worth_keeping([name], replace(SCHEME, level="char"))
    assert not worth_keeping([name, "-"], SCHEME)
    os.mkfifo(tmp_path / "fifo")
    assert not worth_keeping([name, str(tmp_path / "fifo")], SCHEME)
    (tmp_path / "small").write_text("a" * 99)
    assert not worth_keeping([str(tmp_path / "small")], SCHEME)
    assert worth_keeping([str(tmp_path / "small")] * 2, SCHEME)


def test_ids_of_large_files_are_beside_the_cache_and_have_no_name(folder, text, monkeypatch):
    directories, spool = [], cache.ArraySpool
    for module in (cache, encoding):
        monkeypatch.setattr(
            module, "ArraySpool", lambda *given: directories.append(given[1]) or spool(*given)
        )
    load(text, config=TrainConfig())
    monkeypatch.setattr(cache, "SMALLEST", 10**9)
    load(text, config=TrainConfig())
    assert directories == [folder, None]
    assert list(folder.iterdir()) == []


def test_old_files_make_room(folder, text, monkeypatch):
    pruned = []
    monkeypatch.setattr(cache, "prune_cache", pruned.append)
    load(text)
    assert pruned == [folder]


def test_a_text_that_cannot_be_read_leaves_nothing_behind(folder, text):
    text.write_bytes(TEXT.encode() + b"\xff")
    with pytest.raises(CorpusError, match="0xff"):
        load(text)
    assert list(folder.iterdir()) == []
