"""The fault shim, the server that forks, and the tally that is shown at the end."""

import os
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pytest

pytest.register_assert_rewrite("faults")
from faults import TEXT, Server, build_shim, fresh_case, train_arguments  # noqa: E402

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
