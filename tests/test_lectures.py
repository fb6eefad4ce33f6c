"""The examples of the lectures, as a student would run them."""

from pathlib import Path

import pytest

import charrnn
from charrnn.reports import EndReport, SampleReport

CORPORA = Path(__file__).parent.parent / "corpora"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def learn(text, output, **options):
    reports = list(charrnn.train(text, output=output, threads=1, **options))
    assert isinstance(reports[-1], EndReport)
    return reports


@pytest.mark.slow
def test_three_units_and_one_hot_input_learn_hello(tmp_path):
    sizes = {"hidden_size": 3, "embedding_size": 0}
    learn(CORPORA / "hello.txt", tmp_path / "hello", **sizes, max_steps=400)
    model = charrnn.load(tmp_path / "hello")
    assert set(model.stored.tokenizer.vocabulary) == set("helo")
    assert model.stored.weights["recurrent.weight_hh_l0"].shape == (12, 3)
    assert "h" + model.sample("h", temperature=0, length=4) == "hello"
    assert "h" + model.sample(temperature=0, length=4) == "hello"  # it reads the first token first


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_word_list_is_learned_by_heart_and_its_beginnings_are_completed(tmp_path, cell):
    options = {"document": "line", "valid_frac": 0.0, "epochs": 150, "cell": cell}
    learn(CORPORA / "words.txt", tmp_path / "words", **options)
    model = charrnn.load(tmp_path / "words")
    words = {"hell": "hello", "morni": "morning", "langua": "language"}
    words |= {"neur": "neural", "netw": "network"}
    for beginning, word in words.items():
        assert beginning + model.sample(beginning, temperature=0) == word


@pytest.mark.slow
def test_samples_go_from_noise_to_words(tmp_path):
    """Share of sampled words that are in the text: little at first, most at the end."""
    text = (CORPORA / "lighthouse.txt").read_text()
    known = set(text.split())
    options = {"max_steps": 400, "sample_every": 8, "hidden_size": 128, "valid_frac": 0.0}
    reports = learn(CORPORA / "lighthouse.txt", tmp_path / "story", **options)
    samples = [report.text for report in reports if isinstance(report, SampleReport)]
    shares = [sum(w in known for w in t.split()) / max(1, len(t.split())) for t in samples]
    assert shares[0] < 0.2
    assert sum(shares[-3:]) / 3 > 0.65
