"""Damaged and hostile model directories: refused with the file named."""

import os
import pickle
import zipfile

import pytest
from model_directories import FILES, make_model, refuses

from charrnn.errors import ModelError
from charrnn.modeldir import read_model

EVERY_FILE = [*FILES, "generation_config.json"]


@pytest.fixture
def model(tmp_path):
    make_model(tmp_path / "m", num_layers=1)
    return tmp_path / "m"


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_every_flip_of_a_byte_is_found_and_its_file_named(model, name):
    data = (model / name).read_bytes()
    places = range(len(data))
    if name == "model.safetensors":
        places = sorted({*range(1200), *range(1200, len(data), 7)} & set(places))
    for place in places:
        for flip in (1 << place % 8, 0xFF):
            (model / name).write_bytes(
                data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :]
            )
            refuses(model, name)
    (model / name).write_bytes(data)
    read_model(model)


def test_a_flip_in_the_sampling_defaults_is_refused_or_gives_valid_ones(model):
    path = model / "generation_config.json"
    data = path.read_bytes()
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
        try:
            read_model(model)
        except ModelError as error:
            problem = str(error)
        else:
            problem = "generation_config.json: only another number"
        assert "generation_config.json: " in problem


@pytest.mark.parametrize("name", FILES)
def test_a_missing_empty_cut_or_longer_file_is_refused(model, name):
    path = model / name
    data = path.read_bytes()
    for wrong in (b"", data[:1], data[: len(data) // 2], data[:-1], data + b"\0", data + b"\n"):
        path.write_bytes(wrong)
        refuses(model, name)
    path.unlink()
    assert refuses(model).startswith(f"{model} has no {name}")


@pytest.mark.parametrize("name", EVERY_FILE)
def test_a_link_a_fifo_a_device_or_a_directory_is_refused_and_not_waited_for(model, name):
    path = model / name
    outside = model.parent / "outside"
    path.rename(outside)
    path.symlink_to(outside)
    assert "is a symbolic link" in refuses(model, name)
    path.unlink()
    path.symlink_to("/dev/zero")
    assert "is a symbolic link" in refuses(model, name)
    path.unlink()
    path.symlink_to(model.parent / "dangling")
    refuses(model, name)
    path.unlink()
    os.mkfifo(path)
    assert "is a FIFO" in refuses(model, name)
    path.unlink()
    path.mkdir()
    assert "is a directory" in refuses(model, name)


def test_a_device_or_fifo_in_place_of_the_model_is_refused(tmp_path):
    refuses("/dev/zero")
    os.mkfifo(tmp_path / "f")
    refuses(tmp_path / "f")
    (tmp_path / "file").touch()
    assert refuses(tmp_path / "file") == (
        f"{tmp_path}/file is no checkpoint of a model: needs a model's directory, or a file in its "
        "checkpoints/"
    )
    assert "does not exist: needs" in refuses(tmp_path / "missing")
    assert "has no config.json" in refuses(tmp_path)


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("name", EVERY_FILE)
def test_a_pickle_or_an_archive_is_refused_and_does_nothing(model, tmp_path, name):
    fired = tmp_path / "fired"
    (model / name).write_bytes(pickle.dumps(Payload(fired)))
    refuses(model, name)
    with zipfile.ZipFile(model / name, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Payload(fired)))
    refuses(model, name)
    assert not fired.exists()


def test_a_place_that_may_not_be_looked_at_is_said_on_one_line(model, monkeypatch):
    real = os.stat

    def forbidden(path, *args, **kwargs):
        if str(path).startswith(str(model)):
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", forbidden)
    assert refuses(model) == f"cannot read {model}: Permission denied"
    assert "File name too long" in refuses("x" * 300)
