"""One directory that is trained in, killed, resumed, sampled, corrupted and pruned, in any order.

Whatever came before, a run that is finished is the run that nobody disturbed.
"""

import shutil
import tempfile
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from training_runs import TEXT, StopAfter, ask, fingerprint, finish

from charrnn.config import SampleConfig
from charrnn.draft import Piece
from charrnn.errors import ModelError
from charrnn.modeldir import list_checkpoints, read_model, read_train_record
from charrnn.reports import EndReport, StepReport
from charrnn.run import run_training
from charrnn.sampler import sample

SIZES = {"hidden_size": 6, "embedding_size": 4, "batch_size": 3, "seq_length": 8, "dropout": 0.3}
PLAN = {"max_steps": 14, "save_every": 3, "eval_every": 4, "log_every": 2, "sample_every": 5}
DOCUMENTS = ("stream", "line")
known: dict[str, object] = {}  # what the undisturbed run gives


def request(folder, document, **changes):
    corpus = folder / "corpus.txt"
    if not corpus.exists():
        corpus.write_text(TEXT[:500])
    return ask(corpus, **SIZES, **PLAN, document=document, **changes)


def undisturbed(document):
    """Return the fingerprint of the run that nobody disturbed."""
    if document not in known:
        with tempfile.TemporaryDirectory() as name:
            finish(request(Path(name), document))
            known[document] = fingerprint(Path(name) / "run")
    return known[document]


class Directory(RuleBasedStateMachine):
    """The rules; `damaged` are checkpoints that were spoiled and not written again since."""

    @initialize(document=st.sampled_from(DOCUMENTS))
    def choose(self, document):
        self.document = document
        self.expected = undisturbed(document)
        self.home = tempfile.TemporaryDirectory()
        self.folder = Path(self.home.name)
        self.run = self.folder / "run"
        self.damaged = {}

    def start(self, stop=lambda: False, **changes):
        return run_training(request(self.folder, self.document, resume=True, **changes), stop)

    def whole(self):
        """The checkpoints that nobody spoiled."""
        return [p for p in list_checkpoints(self.run) if self.damaged.get(p) != p.read_bytes()]

    def refused(self):
        """Whether there are checkpoints and none is whole: then a resume must say so."""
        found = list_checkpoints(self.run)
        return bool(found) and not self.whole() and (self.run / "train.json").exists()

    @precondition(lambda self: not self.refused())
    @rule(reports=st.integers(1, 50), torn=st.booleans())
    def kill(self, reports, torn):
        steps = self.start()
        seen = list(islice(steps, reports))
        steps.close()
        torn = torn and not isinstance(seen[-1], EndReport)  # a finished run writes nothing more
        log = self.run / "metrics.jsonl"
        if torn and log.exists():
            log.write_bytes(log.read_bytes() + b'{"event": "log", "st')
        if torn and self.run.is_dir():
            (self.run / ".model.safetensors.17-0123abcd.tmp").write_bytes(b"half")

    @precondition(lambda self: not self.refused())
    @rule(step=st.integers(1, 14))
    def stop(self, step):
        stop = StopAfter(step)
        for report in self.start(stop):
            if isinstance(report, StepReport):
                stop.now = report.step

    @precondition(lambda self: (self.run / "model.safetensors").exists())
    @rule(seed=st.integers(0, 3))
    def draw(self, seed):
        stored = read_model(self.run)
        config = replace(stored.generation, length=9)
        texts = {
            "".join(e.text for e in sample(stored, config, seed=seed) if isinstance(e, Piece))
            for _ in range(2)
        }
        assert len(texts) == 1

    @precondition(lambda self: list_checkpoints(self.run))
    @rule(place=st.integers(0, 10**6), way=st.sampled_from(["flip", "cut", "zeros", "empty"]))
    def corrupt(self, place, way):
        path = list_checkpoints(self.run)[0]
        data = bytearray(path.read_bytes())
        place %= len(data) or 1
        if way == "flip" and data:
            data[place] ^= 1 << place % 8
        elif way == "zeros" and any(data[place:]):
            data[place:] = bytes(len(data) - place)
        else:
            del data[place if way == "cut" else 0 :]
        path.write_bytes(data)
        self.damaged[path] = bytes(data)

    @precondition(lambda self: len(list_checkpoints(self.run)) > 1)
    @rule(newest=st.booleans())
    def prune(self, newest):
        list_checkpoints(self.run)[0 if newest else -1].unlink()

    @precondition(lambda self: self.refused())
    @rule()
    def lose(self):
        """None is whole: a resume refuses, and without them it starts from step 0.

        Where that would replace a finished model, it refuses again.
        """
        with pytest.raises(ModelError, match="no checkpoint is whole"):
            list(self.start())
        for path in list_checkpoints(self.run):
            path.unlink()
        if read_train_record(self.run)["finished"]:
            with pytest.raises(ModelError, match="finished model and no checkpoint"):
                list(self.start())
            shutil.rmtree(self.run)

    @precondition(lambda self: self.run.exists() and not self.refused())
    @rule()
    def finish(self):
        list(self.start())
        assert fingerprint(self.run) == self.expected
        assert not [p.name for p in self.run.rglob("*") if p.name.endswith(".tmp")]

    @invariant()
    def the_model_opens(self):
        if hasattr(self, "run") and (self.run / "model.safetensors").exists():
            read_model(self.run)

    def teardown(self):
        if not hasattr(self, "run"):
            return
        if self.refused():
            self.lose()
        if self.run.exists():
            self.finish()
        self.home.cleanup()


SWEEPS = [pytest.param(10, marks=pytest.mark.torture, id=f"sweep-{n}") for n in range(8)]


@pytest.mark.slow
@pytest.mark.parametrize("amount", [4, *SWEEPS])
def test_whatever_happens_to_a_directory_a_finished_run_is_the_undisturbed_one(
    amount, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("os.fsync", lambda descriptor: None)  # no power is lost here
    monkeypatch.setattr("charrnn.loop.TRAINING_SAMPLE", SampleConfig(length=12))
    options = settings(
        max_examples=amount,
        stateful_step_count=7 if amount < 5 else 14,
        deadline=None,
        derandomize=amount < 5,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Directory, settings=options)
