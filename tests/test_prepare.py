"""What is settled before a run begins: texts of any bytes, and what the user is told."""

import json

import pytest
from training_runs import ask, finish, run_until

import charrnn
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
