"""config.json and generation_config.json: exact keys, types and ranges."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_directories import make_config

from charrnn.config import ModelConfig, SampleConfig
from charrnn.errors import ModelError
from charrnn.modeldir import (
    config_from_json,
    config_to_json,
    generation_from_json,
    generation_to_json,
)


@given(
    st.builds(
        ModelConfig,
        vocab_size=st.integers(1, 10**7),
        cell_type=st.sampled_from(["lstm", "gru", "rnn", "peephole"]),
        nonlinearity=st.sampled_from(["tanh", "relu"]),
        embedding_size=st.integers(0, 65536),
        hidden_size=st.integers(1, 65536),
        num_layers=st.integers(1, 64),
        tie_weights=st.just(False),
    )
)
def test_options_of_a_network_survive_config_json(config):
    assert config_from_json(config_to_json(config), "f") == config
    tied = dataclasses.replace(config, embedding_size=config.hidden_size, tie_weights=True)
    assert config_from_json(config_to_json(tied), "f") == tied


def test_config_json_has_the_names_that_other_libraries_use():
    config = make_config(embedding_size=5, tie_weights=True, cell_type="rnn", nonlinearity="relu")
    assert json.loads(config_to_json(config)) == {
        "model_type": "charrnn",
        "format_version": 1,
        "cell_type": "rnn",
        "nonlinearity": "relu",
        "vocab_size": config.vocab_size,
        "embedding_size": 5,
        "hidden_size": 5,
        "num_hidden_layers": 2,
        "tie_word_embeddings": True,
    }


BAD_CONFIGS = {
    "format_version 2 needs a newer charrnn: .* knows 1": {"format_version": 2},
    "format_version '1': needs 1": {"format_version": "1"},
    "format_version 0: needs 1": {"format_version": 0},
    "format_version True: needs 1": {"format_version": True},
    "model_type 'gpt2': needs 'charrnn'": {"model_type": "gpt2"},
    "vocab_size is missing": {"vocab_size": None},
    "unknown key 'auto_map'": {"auto_map": {"AutoModel": "evil.Model"}},
    "unknown key 'embedding_path'": {"embedding_path": "../x"},
    "hidden_size is 0: needs": {"hidden_size": 0},
    "hidden_size is -1: needs": {"hidden_size": -1},
    "vocab_size is 10000001: needs": {"vocab_size": 10_000_001},
    "num_layers is 65: needs": {"num_hidden_layers": 65},
    "hidden_size has the wrong type: 5.0": {"hidden_size": 5.0},
    "hidden_size has the wrong type: True": {"hidden_size": True},
    "hidden_size has the wrong type: '5'": {"hidden_size": "5"},
    "tie_word_embeddings has the wrong type: 0": {"tie_word_embeddings": 0},
    "cell_type has the wrong type: a list": {"cell_type": ["lstm"]},
    "cell_type is 'os.system': needs one of lstm": {"cell_type": "os.system"},
    "tied weights need embedding size = hidden size": {"tie_word_embeddings": True},
}


@pytest.mark.parametrize(("reason", "change"), BAD_CONFIGS.items(), ids=str)
def test_a_config_that_is_not_the_formats_is_refused(reason, change):
    value = {**json.loads(config_to_json(make_config())), **change}
    value = {key: item for key, item in value.items() if item is not None}
    with pytest.raises(ModelError, match=f"^dir/config.json: {reason}"):
        config_from_json(json.dumps(value).encode(), "dir/config.json")


def test_sampling_defaults_survive_and_may_be_left_out():
    config = SampleConfig(0.7, 40, 0.9, 0.05, 1.2, 500, 20)
    assert generation_from_json(generation_to_json(config), "f") == config
    assert generation_from_json(b"{}", "f") == SampleConfig()
    read = generation_from_json(b'{"temperature": 2, "top_k": 3}', "f")
    assert (read.temperature, type(read.temperature), read.top_k) == (2.0, float, 3)


@pytest.mark.parametrize(
    "text",
    [
        '{"temperature": -1}',
        '{"temperature": 1e999}',
        '{"temperature": "1"}',
        '{"temperature": true}',
        '{"temperature": 1' + "0" * 400 + "}",
        '{"top_k": 1.0}',
        '{"top_k": -1}',
        '{"top_p": 0}',
        '{"top_p": 1.1}',
        '{"length": 5, "min_length": 6}',
        '{"stop": ["x"]}',
        "[]",
        "",
    ],
)
def test_sampling_defaults_out_of_range_are_refused(text):
    with pytest.raises(ModelError, match=r"^f: .{,250}$"):
        generation_from_json(text.encode(), "f")
