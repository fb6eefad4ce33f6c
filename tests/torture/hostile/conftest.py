"""A small run that hostile tests damage copies of."""

import shutil

import pytest
from training_runs import TEXT, ask, finish

TINY = {"hidden_size": 6, "embedding_size": 4, "batch_size": 3, "seq_length": 8}
SHORT = {"max_steps": 12, "save_every": 4, "eval_every": 4, "log_every": 2, "sample_every": 6}


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """The directory of a finished run, and the file it was trained on; neither may be changed."""
    folder = tmp_path_factory.mktemp("hostile")
    corpus = folder / "corpus.txt"
    corpus.write_text(TEXT[:600])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        finish(ask(corpus, **TINY, **SHORT))
        yield folder / "run", corpus


@pytest.fixture
def run_copy(small_run, tmp_path):
    """A copy of the small run to damage, and its text."""
    directory, corpus = small_run
    shutil.copytree(directory, tmp_path / "run")
    return tmp_path / "run", corpus
