"""Going on with a run: which one is meant, what may differ, and what of a checkpoint goes on."""

import contextlib
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from test_run import spoil
from training_runs import TEXT, ask, fingerprint, finish, only, run_until

from charrnn.errors import ConfigError, CorpusError, DivergedError
from charrnn.modeldir import read_train_record
from charrnn.prepare import output_directory
from charrnn.reports import EvalReport, LogReport, NoteReport, StepReport
from charrnn.request import RunRequest
from charrnn.resume import same_machine_option
from charrnn.run import run_training

ANY = RunRequest(resume=True)
BY_THE_CLOCK = dict.fromkeys(("max_steps", "eval_every", "save_every", "log_every", "sample_every"))


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "corpus.txt"
    path.write_text(TEXT)
    return path


def aged(directory, seconds):
    """Let the record of a run be from so many seconds after 1970."""
    os.utime(directory / "train.json", (seconds, seconds))


@pytest.mark.slow
def test_without_a_name_the_newest_run_that_is_not_finished_is_meant(corpus):
    runs = Path("runs")
    for name in ("old", "newer"):
        run_until(ask(corpus, output=runs / name, max_steps=6), 2)
    finish(ask(corpus, output=runs / "done", max_steps=2))
    for age, name in enumerate(["old", "newer", "done"]):
        aged(runs / name, 1000 + age)
    assert output_directory(ANY) == runs / "newer"
    aged(runs / "old", 2000)
    assert output_directory(ANY) == runs / "old"
    (start, *_, end) = finish(ANY)
    assert (start.resumed_from, end.step, end.directory) == (2, 6, runs / "old")
    assert output_directory(ANY) == runs / "newer"


def test_where_no_run_is_unfinished_that_is_said(corpus):
    finish(ask(corpus, output=Path("runs/done"), max_steps=2))
    with pytest.raises(ConfigError, match="no unfinished run under runs/"):
        finish(ANY)


def test_a_resume_without_options_has_those_of_the_run(corpus):
    run_until(ask(corpus, seed=7, cell="gru", grad_clip=0.5), 3)
    config = finish(RunRequest(output=corpus.parent / "run", resume=True))[0].config
    assert (config.seed, config.cell, config.grad_clip) == (7, "gru", 0.5)
    assert (config.hidden_size, config.max_steps, config.threads) == (24, 40, 1)


def test_another_number_of_texts_is_refused(corpus):
    run_until(ask(corpus), 3)
    twice = RunRequest((str(corpus), str(corpus)), corpus.parent / "run", resume=True)
    with pytest.raises(CorpusError, match="was started with 1 files, these are 2"):
        finish(twice)


def test_a_held_out_file_that_changed_is_refused(corpus):
    valid = corpus.parent / "valid.txt"
    valid.write_text(TEXT[:300])
    run_until(ask(corpus, valid=(str(valid),)), 3)
    valid.write_text(TEXT[1:301])
    with pytest.raises(CorpusError, match=r"valid\.txt changed since the run began"):
        finish(ask(corpus, resume=True))


def test_what_was_chosen_automatically_is_no_other_than_the_recorded(corpus):
    run_until(ask(corpus), 3)
    options = read_train_record(corpus.parent / "run")["options"]
    assert (options["device"], options["optimizer"]) == ("cpu", "soap")
    auto = dict.fromkeys(("device", "precision", "optimizer"), "auto")
    assert finish(ask(corpus, resume=True, **auto))[-1].step == 40
    with pytest.raises(ConfigError, match=r"--optimizer adamw \(the run has soap\)"):
        finish(ask(corpus, resume=True, optimizer="adamw"))
    with pytest.raises(ConfigError, match=r"--precision bf16 \(the run has fp32\)"):
        finish(ask(corpus, resume=True, precision="bf16"))


def test_the_first_gpu_is_what_cuda_asks_for():
    assert same_machine_option("device", "cuda:0", "cuda")
    assert not same_machine_option("device", "cuda:1", "cuda")
    assert not same_machine_option("device", "cpu", "cuda")


def test_weights_of_another_model_are_not_taken_by_a_resume(corpus):
    run_until(ask(corpus), 3)
    with pytest.raises(ConfigError, match="--init-from first"):
        finish(ask(corpus, resume=True, init_from="first"))


def test_text_from_standard_input_must_be_piped_in_again(corpus, monkeypatch):
    @contextlib.contextmanager
    def piped(text):
        corpus.write_text(text)
        with corpus.open() as file:
            monkeypatch.setattr(sys, "stdin", file)
            yield

    finish(ask(corpus, output=Path("whole")))
    with piped(TEXT):
        run_until(replace(ask(corpus, output=Path("piped")), texts=("-",)), 5)
    again = RunRequest(output=Path("piped"), resume=True)
    with piped(TEXT[:-1]), pytest.raises(CorpusError, match="- changed since the run began"):
        finish(again)
    with piped(TEXT):
        assert finish(again)[-1].step == 40
    assert fingerprint("piped") == fingerprint("whole")


@pytest.mark.slow
def test_a_budget_of_time_goes_on_with_what_is_left_of_it(corpus):
    first = only(run_until(ask(corpus, **BY_THE_CLOCK, max_time=1.5), 10), StepReport)[-1]
    again = finish(ask(corpus, **BY_THE_CLOCK, max_time=1.5, resume=True))
    steps = only(again, StepReport)
    assert steps[0].elapsed_seconds >= first.elapsed_seconds > 0
    assert steps[0].progress >= first.progress
    assert steps[-2].elapsed_seconds < 1.5 <= only(again, EvalReport)[-1].elapsed_seconds
    assert steps[-1].elapsed_seconds < 2.5


def test_elapsed_time_in_the_log_goes_on(corpus):
    first = only(run_until(ask(corpus), 20), LogReport)
    again = only(finish(ask(corpus, resume=True)), LogReport)
    times = [log.elapsed_seconds for log in (*first, *again)]
    assert len(times) == 10
    assert times == sorted(times)


def test_a_run_that_diverged_before_its_first_checkpoint_begins_again_with_half_the_rate(
    corpus, monkeypatch
):
    spoil(monkeypatch, times=1, at=3)
    reports = finish(ask(corpus, max_steps=6))
    (note,) = only(reports, NoteReport)
    assert "back to step 0, learning rate x 0.5" in note.text
    steps = only(reports, StepReport)
    assert [step.step for step in steps] == [1, 2, 1, 2, 3, 4, 5, 6]
    assert steps[2].learning_rate == pytest.approx(steps[0].learning_rate / 2)
    assert steps[2].loss == steps[0].loss  # the same weights, the same window


def test_how_often_a_run_diverged_and_its_rate_are_in_the_checkpoint(corpus, monkeypatch):
    calm = {r.step: r.learning_rate for r in only(finish(ask(corpus)), StepReport)}
    output = corpus.parent / "wild"
    spoil(monkeypatch, times=3, at=7)
    assert len(only(run_until(ask(corpus, output=output), 12), NoteReport)) == 3
    spoil(monkeypatch, times=1, at=20)
    found = []
    with pytest.raises(DivergedError, match="diverged 4 times, last at step 20"):
        found.extend(run_training(ask(corpus, output=output, resume=True)))
    steps = only(found, StepReport)
    assert [step.step for step in steps] == list(range(13, 20))
    assert all(s.learning_rate == pytest.approx(calm[s.step] / 8) for s in steps)


@pytest.mark.slow
def test_going_back_by_the_clock_gives_no_time_back(corpus, monkeypatch):
    spoil(monkeypatch, times=1, at=30)
    options = {**BY_THE_CLOCK, "eval_every": 0, "sample_every": 0, "log_every": 0, "save_every": 10}
    reports = finish(ask(corpus, **options, max_time=1.0))
    times = [report.elapsed_seconds for report in only(reports, StepReport)]
    assert times == sorted(times)
