"""What is settled before a run begins: texts of any bytes, and what the user is told."""

import json
import shutil

import pytest
from training_runs import TEXT, ask, finish, run_until

import charrnn
from charrnn.asked import check_given, check_request
from charrnn.config import TrainConfig
from charrnn.errors import ConfigError, ModelError
from charrnn.reports import StartReport
from charrnn.views.envelope import open_text

BINARY = b"caf\xe9 \x89PNG\x00\xff\n" * 60  # neither UTF-8 nor anything else


@pytest.fixture
def binary(tmp_path):
    path = tmp_path / "binary"
    path.write_bytes(BINARY)
    return path


def test_a_text_of_any_bytes_is_trained_on_resumed_and_scored(binary):
    request = ask(binary, level="byte", max_steps=6)
    run_until(request, 3)
    finish(ask(binary, level="byte", max_steps=6, resume=True))
    directory = binary.parent / "run"
    assert json.loads((directory / "train.json").read_text())["encoding"] == "bytes"
    model = charrnn.load(directory)
    text = open_text(model.stored, [str(binary)])
    assert bytes(text.ids) == BINARY
    own = open_text(model.stored, [])
    assert bytes(own.ids) == BINARY[int(len(BINARY) * 0.9) :]
    score = model.score(BINARY.decode("utf-8", "surrogateescape"))
    assert score.num_tokens == score.num_bytes == len(BINARY) - 1


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text(TEXT)
    return path


def test_a_resume_without_a_checkpoint_says_that_it_starts_over(corpus):
    note = f"no checkpoint in {corpus.parent / 'run'}: starting from step 0"
    assert note in finish(ask(corpus, resume=True, max_steps=2))[0].notes
    run_until(ask(corpus, max_steps=4, force=True), 2)
    for path in (corpus.parent / "run" / "checkpoints").iterdir():
        path.unlink()  # as if killed before the first save
    again = finish(ask(corpus, resume=True, max_steps=4))[0]
    assert (again.resumed_from, note in again.notes) == (None, True)


def test_a_finished_model_without_checkpoints_is_not_replaced_by_a_resume(corpus):
    finish(ask(corpus, max_steps=4))
    weights = (corpus.parent / "run" / "model.safetensors").read_bytes()
    shutil.rmtree(corpus.parent / "run" / "checkpoints")
    for steps in (4, 9):
        with pytest.raises(ModelError, match=r"finished model and no checkpoint .* --force"):
            finish(ask(corpus, resume=True, max_steps=steps))
    assert (corpus.parent / "run" / "model.safetensors").read_bytes() == weights


def test_a_resume_from_a_checkpoint_and_a_new_run_do_not_say_so(corpus):
    reports = run_until(ask(corpus, max_steps=4), 2)
    reports += finish(ask(corpus, max_steps=4, resume=True))
    notes = [note for report in reports if isinstance(report, StartReport) for note in report.notes]
    assert not [note for note in notes if "checkpoint" in note]


CONTRADICTIONS = {
    "--nonlinearity needs --cell rnn, got gru": {"nonlinearity": "tanh", "cell": "gru"},
    "--vocab-size needs --level word, got char": {"vocab_size": 50},
    "--min-count needs --level word, got byte": {"min_count": 2, "level": "byte"},
    "--warmup-steps 41 is more than --max-steps 40: the learning": {"warmup_steps": 41},
    "--valid and --valid-frac contradict each other": {"valid": ("v",), "valid_frac": 0.2},
    "--resume and --force contradict each other": {"resume": True, "force": True},
}


@pytest.mark.parametrize("message", CONTRADICTIONS)
def test_options_without_a_use_are_refused_and_nothing_is_made(corpus, message):
    with pytest.raises(ConfigError, match=message):
        finish(ask(corpus, **CONTRADICTIONS[message]))
    assert not (corpus.parent / "run").exists()


def test_a_default_contradicts_nothing(corpus):
    check_given(TrainConfig(cell="gru", max_steps=3), {"cell", "max_steps"})
    check_given(TrainConfig(pretokenized=False), {"pretokenized"})
    check_given(TrainConfig(level="word", vocab_size=9), {"level", "vocab_size"})
    check_request(ask(corpus, valid=("v",), valid_frac=0.0))


def test_options_that_change_nothing_are_said(corpus):
    options = {"softmax_samples": 500, "patience": 3, "valid_frac": 0.0, "max_steps": 2}
    assert finish(ask(corpus, **options))[0].notes == (
        "--softmax-samples 500 has no effect: there are 18 symbols in all",
        "--patience 3 has no effect: nothing is held out",
    )
    options = {"softmax_samples": 5, "patience": 3, "max_steps": 2, "force": True}
    assert finish(ask(corpus, **options))[0].notes == ()
