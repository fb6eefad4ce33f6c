"""A model directory: written as one, read as one, and exactly as its options say."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from failing_os import FailingOs
from model_directories import make_config, make_model, make_tokenizer, make_weights

from charrnn.config import SampleConfig
from charrnn.errors import ModelError, StoreError
from charrnn.modeldir import (
    read_model,
    read_tokenizer,
    weight_shapes,
    write_model,
)

KINDS = [
    {"cell_type": "lstm", "embedding_size": 3},
    {"cell_type": "gru", "embedding_size": 0},
    {"cell_type": "rnn", "nonlinearity": "relu", "num_layers": 1},
    {"cell_type": "peephole", "embedding_size": 5, "tie_weights": True, "num_layers": 3},
]


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind["cell_type"])
def test_shapes_are_those_of_the_network(kind):
    torch = pytest.importorskip("torch")
    from charrnn.model import LanguageModel

    config = make_config(**kind)
    network = {name: tuple(p.shape) for name, p in LanguageModel(config).named_parameters()}
    assert weight_shapes(config) == network
    sizes = (config.embedding_size or config.vocab_size, config.hidden_size, config.num_layers)
    if config.cell_type != "peephole":
        plain = getattr(torch.nn, config.cell_type.upper())(*sizes)
        theirs = {f"recurrent.{name}": tuple(p.shape) for name, p in plain.named_parameters()}
        assert theirs.items() <= network.items()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind["cell_type"])
def test_a_model_is_read_as_it_was_written(tmp_path, kind):
    config, weights = make_model(tmp_path / "m", **kind)
    stored = read_model(tmp_path / "m")
    assert (stored.path, stored.config, stored.step) == (tmp_path / "m", config, 40)
    assert stored.tokenizer.vocabulary == make_tokenizer().vocabulary
    assert stored.generation == SampleConfig()
    assert same(stored.weights, weights)
    assert all(array.dtype == np.float32 for array in stored.weights.values())
    file = tmp_path / "m" / "model.safetensors"
    assert stored.sha256.encode() in file.read_bytes()
    assert same(safetensors.numpy.load_file(file), weights)
    assert read_model(file).sha256 == stored.sha256


def test_equal_models_are_equal_files_and_a_save_changes_only_what_differs(tmp_path):
    for name in "ab":
        make_model(tmp_path / name)
    files = {p.name: (p.read_bytes(), p.stat().st_ino) for p in (tmp_path / "a").iterdir()}
    assert {p.name: p.read_bytes() for p in (tmp_path / "b").iterdir()} == {
        name: data for name, (data, _) in files.items()
    }
    make_model(tmp_path / "a", seed=8)
    for path in (tmp_path / "a").iterdir():
        assert (path.stat().st_ino == files[path.name][1]) == (path.name != "model.safetensors")


def test_the_weights_are_renamed_last_and_only_when_all_is_durable(tmp_path):
    config = make_config()
    with FailingOs()() as system:
        write_model(tmp_path, config, make_tokenizer(), make_weights(config))
    renamed = [call[2].name for call in system.calls if call[0] == "replace"]
    assert sorted(renamed[:-1]) == ["config.json", "generation_config.json", "tokenizer.json"]
    assert renamed[-1] == "model.safetensors"
    names = system.names()
    assert names.index("replace") > [i for i, name in enumerate(names) if name == "fsync"][3]


def test_sampling_defaults_that_the_user_wrote_stay(tmp_path):
    config, weights = make_model(tmp_path)
    (tmp_path / "generation_config.json").write_text('{"temperature": 0.25}')
    write_model(tmp_path, config, make_tokenizer(), weights, SampleConfig(top_k=9))
    assert read_model(tmp_path).generation == SampleConfig(temperature=0.25)
    (tmp_path / "generation_config.json").unlink()
    assert read_model(tmp_path).generation == SampleConfig()
    write_model(tmp_path, config, make_tokenizer(), weights, SampleConfig(top_k=9))
    assert read_model(tmp_path).generation == SampleConfig(top_k=9)


def test_weights_that_could_not_be_read_back_are_not_written(tmp_path):
    config, weights = make_model(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    weights["output.bias"][3] = np.nan
    with pytest.raises(ModelError, match=r"output\.bias.* not finite"):
        write_model(tmp_path, config, make_tokenizer(), weights)
    del weights["output.bias"]
    with pytest.raises(ModelError, match=r"output\.bias is missing"):
        write_model(tmp_path, config, make_tokenizer(), weights)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("for_good", [False, True])
def test_whatever_call_fails_while_weights_are_saved_the_model_opens(tmp_path, for_good):
    config, old = make_model(tmp_path)
    new, tokenizer = make_weights(config, 8), make_tokenizer()
    with FailingOs()() as system:
        write_model(tmp_path, config, tokenizer, new)
    seen = set()
    for at in range(1, 1 + len(system.calls)):
        write_model(tmp_path, config, tokenizer, old)
        failed = False
        with FailingOs(at, errno.ENOSPC, for_good)():
            try:
                write_model(tmp_path, config, tokenizer, new)
            except StoreError as error:
                failed = str(error).endswith(os.strerror(errno.ENOSPC))
        weights = read_model(tmp_path).weights
        assert same(weights, old) or same(weights, new)
        seen.add((failed, same(weights, new)))
    assert {(True, False)} <= seen
    assert sorted(p.name for p in tmp_path.iterdir() if p.name[0] == ".") == []


@pytest.mark.slow
def test_a_model_is_read_while_its_weights_are_replaced(tmp_path):
    _, weights = make_model(tmp_path / "m", hidden_size=40)
    program = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from model_directories import make_config, make_tokenizer, make_weights
from charrnn.modeldir import write_model
config, directory = make_config(hidden_size=40), Path({str(tmp_path / "m")!r})
weights = [make_weights(config, seed) for seed in (7, 8)]
print("ready", flush=True)
while True:
    for step in (0, 1):
        write_model(directory, config, make_tokenizer(), weights[step], step=step)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as writer:
        try:
            writer.stdout.readline()
            steps, deadline = set(), time.monotonic() + 1
            while time.monotonic() < deadline:
                stored = read_model(tmp_path / "m")
                steps.add(stored.step)
                assert stored.step != 0 or same(stored.weights, weights)
        finally:
            writer.kill()
    assert {0, 1} <= steps


def test_a_reader_outwaits_a_run_that_is_replaced_by_another(tmp_path, monkeypatch):
    make_model(tmp_path / "a", hidden_size=4)
    make_model(tmp_path / "b", hidden_size=6)
    half = tmp_path / "a"
    (half / ".lock").touch()
    (half / "config.json").write_bytes((tmp_path / "b" / "config.json").read_bytes())

    def finish(_):
        data = (tmp_path / "b" / "model.safetensors").read_bytes()
        (half / "model.safetensors").write_bytes(data)

    monkeypatch.setattr(time, "sleep", finish)
    assert read_model(half).config.hidden_size == 6


def test_reading_needs_no_torch_and_writes_nothing(tmp_path):
    make_model(tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    program = f"""
import sys
from pathlib import Path
from charrnn.modeldir import read_model
def audit(event, arguments):
    if event == "open" and arguments[0] and {str(tmp_path)!r} in str(arguments[0]):
        assert not arguments[2] & 3, arguments
sys.addaudithook(audit)
assert read_model(Path({str(tmp_path)!r})).step == 40
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    assert read_tokenizer(tmp_path).vocabulary == make_tokenizer().vocabulary
