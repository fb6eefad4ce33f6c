"""The fault shim, the server that forks, and the tally that is shown at the end."""

import os
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

pytest.register_assert_rewrite("faults")
from faults import TEXT, Fault, Server, build_shim, fresh_case, train_arguments  # noqa: E402

TALLY = pytest.StashKey[Counter]()


def pytest_configure(config):
    config.stash[TALLY] = Counter()


def pytest_terminal_summary(terminalreporter, config):
    counts = config.stash.get(TALLY, Counter())
    if counts:
        words = ", ".join(f"{number} {what}" for what, number in sorted(counts.items()))
        terminalreporter.write_line(f"faults: {words}")


@pytest.fixture
def tally(request):
    """Counts what was injected, by what came of it."""
    return request.config.stash[TALLY]


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    if not sys.platform.startswith("linux"):
        pytest.skip("needs Linux: the shim reads /proc and is preloaded")
    if shutil.which("cc") is None:
        pytest.skip("needs cc, to compile the fault shim")
    return build_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="session")
def server(shim, tmp_path_factory):
    server = Server(shim, tmp_path_factory.mktemp("said"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "corpus.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="session")
def cases(tmp_path_factory):
    """A folder for runs, in memory where there is such a place: an fsync costs nothing there."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path_factory.mktemp("cases")
        return
    folder = Path(tempfile.mkdtemp(prefix="charrnn-faults-", dir=memory))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def whole(server, corpus, cases):
    """The directory of the run that nobody disturbed."""
    case = fresh_case(cases, "whole")
    server.count(case, *train_arguments(corpus))
    return case / "run"


@pytest.fixture(scope="session")
def interrupted(server, corpus, whole, cases):
    """A run killed in a save, with the litter of five more."""
    case = fresh_case(cases, "interrupted")
    calls = server.count(case, *train_arguments(corpus))
    at = 1 + next(n for n, call in enumerate(calls) if call.endswith("step-00000030.safetensors"))
    case = fresh_case(cases, "interrupted")
    ended = server.run(case, *train_arguments(corpus), fault=Fault(at, "KILL"))
    assert ended.code == -9
    for pid in range(5):
        (case / "run" / f".model.safetensors.{pid}-0123abcd.tmp").write_bytes(b"half")
        (case / "run" / "checkpoints" / f".step-00000030.safetensors.{pid}-89ef0123.tmp").touch()
    with (case / "run" / "metrics.jsonl").open("a") as log:
        log.write('{"event": "log", "st')
    return case / "run"
