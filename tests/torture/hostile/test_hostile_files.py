"""Readers of single files, fed with anything: refused in one line, or what it promises."""

import json
import random
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from forging import AMOUNT, JSON, as_json, edit, edited, flips, fuzz, outcome, resealed
from hypothesis import strategies as st
from model_directories import make_config, make_tokenizer, make_weights

from charrnn.cli.configfile import read_options
from charrnn.cli.options import items_of
from charrnn.config import ModelConfig, SampleConfig, TrainConfig
from charrnn.errors import ConfigError, ModelError
from charrnn.modeldir import (
    config_from_json,
    config_to_json,
    generation_from_json,
    generation_to_json,
)
from charrnn.tensors import decode_tensors, encode_tensors
from charrnn.tokenizer import Tokenizer
from charrnn.views.copying import parse_samples
from charrnn.views.labelled import read_labelled

WEIGHTS = encode_tensors(make_weights(make_config(num_layers=1)), {"format": "pt", "step": "40"})


def is_sound(found):
    tensors, metadata = found
    assert all(np.isfinite(array).all() for array in tensors.values())
    assert all(isinstance(value, str) for value in metadata.values())


@AMOUNT
def test_any_bytes_in_place_of_tensors(amount):
    def check(data):
        for forged in (data, resealed(data)):
            found = outcome(lambda forged=forged: decode_tensors(forged, "F"), "F")
            if found is not None:
                is_sound(found)

    fuzz(check, 150 * amount, edited(WEIGHTS) | st.binary(max_size=200))


@pytest.mark.slow
@AMOUNT
def test_any_header_with_a_right_checksum_in_place_of_tensors(amount):
    size = int.from_bytes(WEIGHTS[:8], "little")

    def check(data):
        header = json.loads(WEIGHTS[8 : 8 + size])
        edit(header, data)
        text = json.dumps(header).encode("utf-8", "surrogatepass")
        body = WEIGHTS[8 + size :][: data.draw(st.sampled_from([10**9, 10**9, 0, 100]))]
        forged = resealed(len(text).to_bytes(8, "little") + text + body)
        found = outcome(lambda: decode_tensors(forged, "F"), "F")
        if found is not None:
            is_sound(found)

    fuzz(check, 150 * amount, st.data())


@pytest.mark.parametrize("count", [60, pytest.param(500, marks=pytest.mark.torture)])
def test_a_flip_with_a_right_checksum_gives_other_finite_numbers_or_a_refusal(count):
    for _, data in flips(WEIGHTS, random.Random(5), count):
        outcome(lambda data=data: decode_tensors(data, "F"), "F")
        found = outcome(lambda data=data: decode_tensors(resealed(data), "F"), "F")
        if found is not None:
            is_sound(found)


def test_a_key_of_the_metadata_is_shown_short_and_escaped():
    header = json.loads(WEIGHTS[8 : 8 + int.from_bytes(WEIGHTS[:8], "little")])
    header["__metadata__"]["\x1b[2J" + "x" * 5000] = 1
    text = json.dumps(header).encode()
    with pytest.raises(ModelError) as caught:
        decode_tensors(len(text).to_bytes(8, "little") + text, "F")
    assert len(str(caught.value)) < 200
    assert "\x1b" not in str(caught.value)


SMALL = {
    "config.json": (config_to_json(make_config()), config_from_json, ModelConfig),
    "generation": (generation_to_json(SampleConfig(top_k=5)), generation_from_json, SampleConfig),
    "char": (make_tokenizer().to_json(), Tokenizer.from_json, Tokenizer),
    "word": (Tokenizer("word", ("<unk>", "a", " ")).to_json(), Tokenizer.from_json, Tokenizer),
    "pretokenized": (
        Tokenizer("word", ("<unk>", "<eos>", "a"), True).to_json(),
        Tokenizer.from_json,
        Tokenizer,
    ),
}


@pytest.mark.slow
@AMOUNT
@pytest.mark.parametrize("kind", SMALL)
def test_any_json_in_place_of_a_small_file(kind, amount):
    original, read, result = SMALL[kind]

    def check(data):
        value = json.loads(original)
        edit(value, data)
        found = outcome(lambda: read(as_json(value), "F"), "F")
        assert found is None or isinstance(found, result)
        if isinstance(found, Tokenizer):
            use_tokenizer(found)

    fuzz(check, 60 * amount, st.data())


@AMOUNT
@pytest.mark.parametrize("kind", SMALL)
def test_any_bytes_in_place_of_a_small_file(kind, amount):
    original, read, result = SMALL[kind]

    def check(data):
        found = outcome(lambda: read(data, "F"), "F")
        assert found is None or isinstance(found, result)
        if isinstance(found, Tokenizer):
            use_tokenizer(found)

    fuzz(check, 60 * amount, edited(original) | st.binary(max_size=200))


@pytest.mark.parametrize("kind", SMALL)
def test_every_flip_of_a_small_file_is_refused_or_gives_what_it_promises(kind):
    original, read, result = SMALL[kind]
    for bit in range(8):
        for place in range(bit % 3, len(original), 3):
            data = bytearray(original)
            data[place] ^= 1 << bit
            found = outcome(lambda data=data: read(bytes(data), "F"), "F")
            assert found is None or isinstance(found, result)


def use_tokenizer(tokenizer):
    """What is accepted can be used: every id has a text, and any text has ids."""
    text = tokenizer.decode(range(len(tokenizer)))
    ids = tokenizer.encode(text + "\0 qz\U0010ffff", on_unknown="skip")
    assert all(0 <= i < len(tokenizer) for i in ids.tolist())
    tokenizer.token_chars(), tokenizer.token_bytes()


KNOWN = items_of(TrainConfig)
TOML = b"""hidden-size = 12
dropout = 0.5
level = "char"
max_time = "3m"
deterministic = true
seed = 18446744073709551
"""
TOML_VALUES = st.sampled_from(
    ["1", "-1", "0x" + "f" * 6000, "9" * 5000, "1e400", "nan", "inf", "1_000", "true", '"3m"',
     '"a\\u0000b"', "[1]", '["a"]', "{a=1}", "1979-05-27", "07:32:00", '"\\uFFFF"', "''", "1.5",
     "[" * 3000, '"""\n"""']
)  # fmt: skip


@AMOUNT
def test_any_bytes_in_place_of_a_file_of_options(amount, tmp_path):
    path = tmp_path / "options.toml"

    def check(data):
        path.write_bytes(data)
        found = outcome(lambda: read_options(path, KNOWN), "options.toml")
        assert found is None or set(found) <= {field.name for field in fields(TrainConfig)}

    lines = st.builds(
        lambda key, value: f"{key} = {value}\n".encode(), st.sampled_from([*KNOWN]), TOML_VALUES
    )
    fuzz(check, 50 * amount, edited(TOML) | lines | st.binary(max_size=60))


@pytest.mark.parametrize(
    "line",
    [
        b"seed = " + b"9" * 5000,
        b"seed = 0x" + b"f" * 6000,
        b"seed = [0x" + b"f" * 6000 + b"]",
        b"seed" + b".a" * 5000 + b" = 1",
        b"seed = " + b"[" * 5000,
        b'device = "a\\u0000b"',
        b"# " + b"x" * 2**20,
    ],
    ids=range(7),
)
def test_what_once_ended_in_an_internal_error_is_refused_by_name(line, tmp_path):
    (tmp_path / "options.toml").write_bytes(line)
    with pytest.raises(ConfigError, match=r"options\.toml"):
        read_options(tmp_path / "options.toml", KNOWN)


def test_a_device_in_place_of_a_file_of_options_is_not_read_to_its_end():
    with pytest.raises(ConfigError, match="at most"):
        read_options(Path("/dev/zero"), KNOWN)


def test_samples_that_are_deeply_nested_json_are_plain_text():
    assert parse_samples("[" * 5000) == ["[" * 5000]


@AMOUNT
def test_any_bytes_in_place_of_labelled_texts(amount, tmp_path):
    path = tmp_path / "labels.tsv"
    original = "".join(f"{'ab'[i % 2]}\ttext {i}\n" for i in range(12)).encode()

    def check(data):
        path.write_bytes(data)
        found = outcome(lambda: read_labelled(str(path)))
        assert found is None or len(found.texts) == len(found.labels) >= 10

    fuzz(check, 100 * amount, edited(original) | st.binary(max_size=60))


@AMOUNT
def test_any_text_in_place_of_samples(amount):
    original = b'{"text": "one", "seed": 1}\n{"text": "two"}\n'

    def check(data):
        text = data.decode("utf-8", "replace")
        found = outcome(lambda: parse_samples(text))
        if found is not None:
            assert all(found)
            "".join(found).encode("utf-8", "surrogatepass")

    fuzz(check, 100 * amount, edited(original) | JSON.map(as_json) | st.binary(max_size=60))
