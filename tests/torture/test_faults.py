"""Every file call of a run fails in its turn, or kills: old or new, and the resume is exact.

A scenario is a command and what is there before it. Each of its calls is one fault of each kind;
without `-m torture` a sample of them.
"""

import shutil
import zlib

import pytest
from faults import (
    ERRORS,
    KILLS,
    Fault,
    check_opens,
    check_resumed,
    check_said,
    fresh_case,
    train_arguments,
    weights_hash,
    whole_process,
)

from charrnn.modeldir import read_model

KINDS = [
    *((kind, sticky) for kind in (*ERRORS, "SHORT") for sticky in (False, True)),
    *((kind, False) for kind in KILLS),
]
SHARES = 16  # parts of a sweep, so that each takes seconds
SAMPLES = 5  # faults of a scenario that are tried each time
OTHER_SEED = 7


@pytest.fixture(scope="session")
def other(server, corpus, cases):
    """A finished run with another seed, of the same sizes."""
    case = fresh_case(cases, "other")
    server.count(case, *train_arguments(corpus, "--seed", OTHER_SEED))
    return case / "run"


class Scenario:
    """A command, and the run that is there before it."""

    def __init__(self, server, corpus, whole, folder, start, before, *more):
        self.server, self.corpus, self.whole, self.folder = server, corpus, whole, folder
        self.start, self.before, self.more = start, before, more
        self.calls = self.prepare().server.count(self.case, *self.arguments())

    def prepare(self):
        self.case = fresh_case(self.folder, 0, self.start)
        return self

    def count_reads(self):
        fault = Fault(reads=True)
        return self.prepare().server.run(self.case, *self.arguments(), fault=fault).calls

    def arguments(self):
        return train_arguments(self.corpus, *self.more)

    def check(self, fault, tally):
        """Inject `fault`, see that nothing is lost, go on, and see that nothing was changed."""
        self.prepare()
        ended = self.server.run(self.case, *self.arguments(), fault=fault)
        assert ended.hits, (fault, ended)
        tally["injected"] += 1
        tally[{0: "harmless", 1: "reported", -9: "killed"}[ended.code]] += 1
        check_said(ended, fault)
        run = self.case / "run"
        if self.more != ("--force",):
            check_opens(run, ended, fault, self.before)
        else:
            read_model(run)  # it is of the same sizes: the old one or the new one
            if (run / "train.json").exists() and weights_hash(run) == weights_hash(self.start):
                shutil.rmtree(run)  # nothing was replaced yet, and that run is another one
        if ended.code == 0:
            assert weights_hash(run) == weights_hash(self.whole)
        check_resumed(self.server, self.case, self.corpus, self.whole)


@pytest.fixture(scope="session", params=["first", "resume", "force"])
def scenario(request, server, corpus, whole, cases):
    folder = cases / request.param
    folder.mkdir()
    if request.param == "first":
        return Scenario(server, corpus, whole, folder, None, 0)
    if request.param == "resume":
        start = request.getfixturevalue("interrupted")
        return Scenario(server, corpus, whole, folder, start, 25, "--resume")
    return Scenario(server, corpus, whole, folder, request.getfixturevalue("other"), 0, "--force")


def applies(kind, call):
    """Return whether `kind` is more at `call` than another kind is."""
    return call.startswith("write ") or kind not in ("SHORT", "TORN")


def sampled(calls):
    """Return faults at places spread over all calls, of all kinds in turn."""
    chosen = []
    for number in range(SAMPLES):
        kind, sticky = KINDS[5 * (number + len(calls)) % len(KINDS)]
        fitting = [at for at, call in enumerate(calls, 1) if applies(kind, call)]
        index = zlib.crc32(f"{number} {len(calls)}".encode()) % len(fitting)
        chosen.append(Fault(fitting[index], kind, sticky))
    return chosen


@pytest.mark.slow
def test_after_any_of_a_sample_of_faults_nothing_is_lost_and_resume_is_exact(scenario, tally):
    for fault in sampled(scenario.calls):
        scenario.check(fault, tally)


@pytest.mark.torture
@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("sticky", [False, True])
def test_after_every_read_that_fails_nothing_is_lost_and_resume_is_exact(
    scenario, tally, sticky, share
):
    calls = scenario.count_reads()
    reads = [at for at, c in enumerate(calls, 1) if c.startswith(("openread ", "read "))]
    for at in reads[share::SHARES]:
        scenario.check(Fault(at, "EIO", sticky, reads=True), tally)


@pytest.mark.torture
@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize(("kind", "sticky"), KINDS)
def test_after_every_fault_nothing_is_lost_and_resume_is_exact(
    scenario, tally, kind, sticky, share
):
    for at in range(1 + share, 1 + len(scenario.calls), SHARES):
        if applies(kind, scenario.calls[at - 1]):
            scenario.check(Fault(at, kind, sticky), tally)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("/run/model.safetensors", "ENOSPC"),
        pytest.param("step-00000015", "TORN", marks=pytest.mark.torture),
    ],
)
def test_a_process_of_its_own_ends_as_the_forked_ones(
    shim, server, corpus, whole, tmp_path, word, kind
):
    calls = server.count(fresh_case(tmp_path, 0), *train_arguments(corpus))
    wanted = "write" if kind == "TORN" else "rename"
    at = next(n for n, call in enumerate(calls, 1) if word in call and call.startswith(wanted))
    case = fresh_case(tmp_path, 1)
    ended = whole_process(shim, case, train_arguments(corpus), Fault(at, kind))
    assert ended.returncode == (-9 if kind == "TORN" else 1)
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == (0 if kind == "TORN" else 1)
    check_resumed(server, case, corpus, whole)
