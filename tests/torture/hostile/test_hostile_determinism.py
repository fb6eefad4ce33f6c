"""What is the same each time: a command twice, a model's text; and what is needed for it."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import charrnn, environment
from training_runs import TEXT, ask, fingerprint, finish, run_until

from charrnn.api import load
from charrnn.errors import ModelError
from charrnn.modeldir import (
    list_checkpoints,
    read_model,
    read_newest_checkpoint,
    write_checkpoint,
)

SIZES = {"hidden_size": 8, "embedding_size": 4, "batch_size": 3, "seq_length": 8, "dropout": 0.3}
PLAN = {"max_steps": 25, "save_every": 4, "eval_every": 5, "log_every": 2, "sample_every": 10}
MOMENTS = ["optimizer.exp_avg.", "optimizer.exp_avg_sq.", "optimizer.gram.", "optimizer.basis."]
CONTROLS = ["random.dropout", *MOMENTS, "state.", "cursor."]
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "corpus.txt").write_text(TEXT[:900])
    return tmp_path / "corpus.txt"


def run_of(corpus, name, **changes):
    """Finish a run and return its directory."""
    output = corpus.parent / name
    finish(ask(corpus, **{**SIZES, **PLAN, **changes}, output=output))
    return output


def hash_of(directory):
    return hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest()


def last_weights(directory):
    """The hash of the last weights of training, of which the best may be others."""
    found = read_newest_checkpoint(directory).tensors
    names = sorted(name for name in found if name.startswith("model."))
    return hashlib.sha256(b"".join(found[name].tobytes() for name in names)).hexdigest()


def test_the_same_command_twice_gives_the_same_files(corpus):
    first, second = (run_of(corpus, name) for name in ("first", "second"))
    assert fingerprint(first) == fingerprint(second)
    for name in ("config.json", "tokenizer.json", "generation_config.json", "model.safetensors"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    checkpoints = [read_newest_checkpoint(directory) for directory in (first, second)]
    assert all(
        np.array_equal(checkpoints[0].tensors[key], checkpoints[1].tensors[key])
        for key in checkpoints[0].tensors
    )


@pytest.mark.torture
def test_the_same_command_twice_in_processes_with_other_hash_seeds_is_the_same(corpus):
    words = {"level": "word", "document": "line", "max-steps": 12, "hidden-size": 8, "threads": 1}
    flags = [part for name, value in words.items() for part in (f"--{name}", str(value))]
    for seed in ("1", "2"):
        output = corpus.parent / seed
        env = environment(PYTHONHASHSEED=seed, OMP_NUM_THREADS="1")
        assert charrnn("train", corpus, "-o", output, *flags, env=env).returncode == 0
    assert hash_of(corpus.parent / "1") == hash_of(corpus.parent / "2")


def test_another_seed_gives_other_weights(corpus):
    assert last_weights(run_of(corpus, "a")) != last_weights(run_of(corpus, "b", seed=1))


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"eval_every": 1},
        {"eval_every": 0},
        {"sample_every": 1},
        {"save_every": 1},
        {"save_every": 0, "log_every": 0, "sample_every": 0},
    ],
    ids=str,
)
def test_what_is_done_beside_training_does_not_change_its_weights(corpus, changes):
    plain, other = run_of(corpus, "plain"), run_of(corpus, "other", **changes)
    assert last_weights(plain) == last_weights(other)


@pytest.mark.torture
def test_how_much_is_shown_does_not_change_the_weights(corpus):
    flags = ["--max-steps", "8", "--hidden-size", "8", "--threads", "1", "--seed", "3"]
    hashes = set()
    for name, more in (("q", ["-q"]), ("v", ["-v"]), ("j", ["--json", "--log-every", "1"])):
        output = corpus.parent / name
        assert charrnn("train", corpus, "-o", output, *flags, *more).returncode == 0
        hashes.add(hash_of(output))
    assert len(hashes) == 1


def resumed_with(corpus, name, change):
    """Stop a run at step 11, let `change` have the tensors of its checkpoint, and finish it."""
    output = corpus.parent / name
    request = ask(corpus, **SIZES, **PLAN, output=output)
    run_until(request, 11)
    found = read_newest_checkpoint(output)
    tensors = dict(found.tensors)
    change(tensors)
    write_checkpoint(output, 11, tensors, found.metadata)
    finish(replace(request, resume=True))
    return output


def earlier(corpus):
    """The tensors of the checkpoint at step 4 of the same run."""
    output = corpus.parent / "earlier"
    run_until(ask(corpus, **SIZES, **PLAN, output=output), 4)
    return read_newest_checkpoint(output).tensors


def test_a_checkpoint_that_is_written_again_as_it_was_resumes_exactly(corpus):
    whole = run_of(corpus, "whole")
    assert fingerprint(resumed_with(corpus, "same", lambda tensors: None)) == fingerprint(whole)


@pytest.mark.slow
@pytest.mark.parametrize("part", CONTROLS)
def test_a_checkpoint_with_one_part_of_another_moment_gives_other_weights(corpus, part):
    """The negative control: without it, exactness would prove nothing about the parts."""
    other = earlier(corpus)

    def change(tensors):
        names = [name for name in tensors if name.startswith(part)]
        assert names
        assert any(not np.array_equal(tensors[name], other[name]) for name in names)
        tensors.update({name: other[name] for name in names})

    assert last_weights(resumed_with(corpus, "spoiled", change)) != last_weights(
        run_of(corpus, "whole")
    )


@pytest.mark.parametrize("part", ["random.dropout", "cursor.", "optimizer.", "state."])
def test_a_checkpoint_that_lacks_a_part_is_refused(corpus, part):
    def drop(tensors):
        for name in [name for name in tensors if name.startswith(part)]:
            del tensors[name]

    with pytest.raises(ModelError, match=f"tensor {part}.* is missing"):
        resumed_with(corpus, "lacking", drop)


def resume_at(corpus, cuts, **changes):
    """Stop a run of 40 steps after each of `cuts`; resumed, it is the run nobody stopped."""
    options = {**SIZES, **PLAN, "max_steps": 40, "weight_drop": 0.2, **changes}
    finish(ask(corpus, **options, output=corpus.parent / "whole"))
    expected = fingerprint(corpus.parent / "whole")
    for step in cuts:
        output = corpus.parent / f"cut-{step}"
        run_until(ask(corpus, **options, output=output), step)
        finish(ask(corpus, **options, output=output, resume=True))
        assert fingerprint(output) == expected, step


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["gru", "rnn", "peephole"])
def test_stop_and_resume_is_exact_for_every_cell(corpus, cell):
    resume_at(corpus, (3, 20), cell=cell, document="line")


@pytest.mark.torture
@pytest.mark.parametrize("document", ["stream", "line"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "peephole"])
def test_stop_and_resume_at_every_step_is_exact_for_every_cell(corpus, cell, document):
    resume_at(corpus, range(1, 41), cell=cell, document=document)


@pytest.mark.parametrize("case", json.loads((GOLDEN / "samples.json").read_text()), ids=str)
def test_a_committed_model_writes_what_it_wrote_when_it_was_committed(case):
    text = load(GOLDEN / "model").sample(case["prompt"], seed=case["seed"], **case["options"])
    assert text == case["text"]


def test_the_committed_model_opens_and_its_text_depends_on_the_seed():
    stored = read_model(GOLDEN / "model")
    assert stored.config.hidden_size == 16
    model = load(GOLDEN / "model")
    assert model.sample(seed=1, length=40) != model.sample(seed=2, length=40)
    assert list_checkpoints(GOLDEN / "model") == []
