"""Forged model directories, with right checksums: refused with the file named, or they work."""

import hashlib
import json
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_directories import (
    FILES,
    SYMBOLS,
    edit_json,
    forge,
    make_config,
    make_model,
    make_tokenizer,
    make_weights,
    refuses,
)

from charrnn.errors import ModelError
from charrnn.modeldir import config_to_json, read_model, write_model


@pytest.fixture
def model(tmp_path):
    make_model(tmp_path / "m", num_layers=1)
    return tmp_path / "m"


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": 65536, "embedding_size": 65536, "num_hidden_layers": 64},
        {"vocab_size": 10**7, "embedding_size": 0},
        {"hidden_size": 6},
        {"cell_type": "gru"},
        {"cell_type": "peephole"},
        {"num_hidden_layers": 2},
        {"embedding_size": 0},
        {"vocab_size": len(SYMBOLS) - 1},
    ],
    ids=str,
)
def test_other_sizes_with_right_checksums_are_refused_at_once_and_take_no_memory(model, change):
    edit_json(model / "config.json", **change)
    forge(model, make_weights(make_config(num_layers=1)))
    began = time.monotonic()
    refuses(model, "model.safetensors")
    assert time.monotonic() - began < 1


def test_a_file_longer_than_the_options_allow_is_not_read(model):
    with (model / "model.safetensors").open("r+b") as file:
        file.truncate(2**40)
    began = time.monotonic()
    assert "needs at most" in refuses(model, "model.safetensors")
    assert time.monotonic() - began < 1


def without(weights, name):
    return {key: value for key, value in weights.items() if key != name}


FORGERIES = {
    "tensor output.bias is missing": lambda w: without(w, "output.bias"),
    "tensor 'extra' does not belong": lambda w: {**w, "extra": np.zeros(1, np.float32)},
    "tensor output.bias is float16": lambda w: {**w, "output.bias": w["output.bias"].astype("f2")},
    "tensor output.bias is float64": lambda w: {**w, "output.bias": w["output.bias"].astype("f8")},
    "tensor output.bias is int32": lambda w: {**w, "output.bias": w["output.bias"].astype("i4")},
    "needs (9, 5)": lambda w: {**w, "output.weight": w["output.weight"].T},
    "needs (9,)": lambda w: {**w, "output.bias": w["output.bias"][None]},
    "tensor '\\x1b[2J' does not": lambda w: {**w, "\x1b[2J": np.zeros(1, np.float32)},
}


@pytest.mark.parametrize(("reason", "change"), FORGERIES.items(), ids=FORGERIES)
def test_weights_that_do_not_fit_are_refused_even_with_right_checksums(model, reason, change):
    forge(model, change(make_weights(make_config(num_layers=1))))
    assert reason in refuses(model, "model.safetensors")


def test_forging_itself_is_sound(model):
    weights = make_weights(make_config(num_layers=1), 9)
    forge(model, weights, step="12")
    stored = read_model(model)
    assert stored.step == 12
    assert all(np.array_equal(stored.weights[name], weights[name]) for name in weights)


@pytest.mark.parametrize("step", ["-1", "1.0", "", "x", "\u0661", "9" * 30])
def test_a_step_that_is_no_count_is_refused(model, step):
    for key in ("step", "start_id"):
        forge(model, make_weights(make_config(num_layers=1)), **{key: step})
        refuses(model, "model.safetensors")


def test_a_first_token_that_the_vocabulary_does_not_have_is_refused(model):
    weights = make_weights(make_config(num_layers=1))
    forge(model, weights, start_id=str(len(SYMBOLS) - 1))
    assert read_model(model).start_id == len(SYMBOLS) - 1
    forge(model, weights, start_id=str(len(SYMBOLS)))
    refuses(model, "model.safetensors: start_id")


def test_weights_of_one_model_with_the_vocabulary_of_another_are_refused(model, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    config = make_config(num_layers=1)
    write_model(other, config, make_tokenizer("abcdefghi"), make_weights(config))
    (model / "tokenizer.json").write_bytes((other / "tokenizer.json").read_bytes())
    assert "not the one model.safetensors was written with" in refuses(model, "tokenizer.json")
    (model / "tokenizer.json").write_bytes(make_tokenizer(SYMBOLS[:-1]).to_json())
    forge(model, make_weights(config))
    assert f"has {len(SYMBOLS) - 1} symbols: needs {len(SYMBOLS)}" in refuses(model)


@pytest.mark.parametrize("vocab", [[], [1], [False], "abc", 3, None, {"a": 0.0}, {"a": True}, {}])
def test_a_vocabulary_that_is_no_map_to_ids_is_refused(model, vocab):
    path = model / "tokenizer.json"
    value = json.loads(path.read_bytes())
    value["model"]["vocab"] = vocab
    path.write_text(json.dumps(value))
    forge(model, make_weights(make_config(num_layers=1)))
    refuses(model, "tokenizer.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@pytest.mark.slow
@given(st.sampled_from(["config", "tokenizer", "generation_config"]), st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_with_right_checksums_is_refused_or_works(model, name, data):
    path = model / f"{name}.json"
    before = path.read_bytes()
    value = json.loads(before)
    places = [(value, key) for key in value]
    for item in value.values():
        if isinstance(item, dict):
            places += [(item, key) for key in item]
    for _ in range(data.draw(st.integers(1, 2))):
        parent, key = data.draw(st.sampled_from(places))
        parent[key] = data.draw(JSON)
    path.write_text(json.dumps(value))
    try:
        forge(model, make_weights(make_config(num_layers=1)))
        try:
            read_model(model)
        except ModelError as error:
            assert ".json" in str(error) or "model.safetensors" in str(error)  # noqa: PT017
    finally:
        path.write_bytes(before)


@given(st.binary(max_size=400), st.sampled_from(FILES))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_in_place_of_a_file_are_refused(model, data, name):
    before = (model / name).read_bytes()
    (model / name).write_bytes(data)
    try:
        refuses(model, name)
    finally:
        (model / name).write_bytes(before)


def test_a_model_of_a_newer_format_says_what_is_needed(model):
    edit_json(model / "config.json", format_version=3, new_key=[1])
    assert "format_version 3 needs a newer charrnn" in refuses(model, "config.json")


def test_config_json_is_the_bytes_that_were_hashed(model):
    config = (model / "config.json").read_bytes()
    assert config == config_to_json(make_config(num_layers=1))
    assert hashlib.sha256(config).hexdigest().encode() in (
        (model / "model.safetensors").read_bytes()
    )
