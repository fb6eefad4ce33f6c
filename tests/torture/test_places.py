"""Disks that are full, places that cannot be written, limits: one line, and nothing is lost."""

import re
import shutil
import subprocess

import pytest
from commands import CHARRNN, environment, shell
from faults import (
    Fault,
    Server,
    check_resumed,
    check_said,
    fresh_case,
    train_arguments,
    weights_hash,
)

from charrnn.modeldir import read_model

pytestmark = pytest.mark.slow
long = pytest.mark.torture
ROOM = 4 << 20  # bytes that are enough for a run


@pytest.fixture(scope="session")
def disks(shim, tmp_path_factory):
    """A server that can mount disks of its own, and where this process finds them."""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare, to mount a small disk")
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("needs user name spaces, to mount a small disk")
    server = Server(shim, tmp_path_factory.mktemp("disks"), "unshare", "-rm")
    yield server
    server.close()


class Disk:
    """A disk of a size of its own, with nothing on it."""

    def __init__(self, server, folder, options):
        self.server, self.place = server, folder
        folder.mkdir()
        server.command("mount", "-t", "tmpfs", "-o", options, "none", folder)
        self.seen = server.process.pid  # whose name space has it

    def path(self, name):
        return type(self.place)(f"/proc/{self.seen}/root{self.place}") / name

    def check_full(self, corpus, whole):
        """Run until the disk is full, make room, and go on; return how the first run ended."""
        ended = self.server.run(self.place, *train_arguments(corpus), fault=Fault())
        check_said(ended, Fault())
        run = self.path("run")
        if (run / "model.safetensors").exists():
            read_model(run)
        if ended.code:
            assert ended.stderr.endswith(": No space left on device\n")
        self.server.command("mount", "-o", f"remount,size={ROOM},nr_inodes=0", self.place)
        again = self.server.run(self.place, *train_arguments(corpus, "--resume"))
        assert again.code == 0, again.stderr
        assert weights_hash(run) == weights_hash(whole)
        self.server.command("umount", self.place)
        return ended.code


SOME_SIZES = (8, 340)
SOME_INODES = (3, 12)


@pytest.mark.parametrize(
    ("room", "numbers"),
    [
        ("size={}k", SOME_SIZES),
        pytest.param("size={}k", range(4, 1600, 44), marks=long),
        (f"size={ROOM},nr_inodes={{}}", SOME_INODES),
        pytest.param(f"size={ROOM},nr_inodes={{}}", range(2, 20), marks=long),
    ],
)
def test_a_full_disk_is_one_line_and_with_more_room_the_run_goes_on(
    disks, corpus, whole, tmp_path, room, numbers
):
    codes = []
    for number in numbers:
        disk = Disk(disks, tmp_path / str(number), room.format(number))
        codes.append(disk.check_full(corpus, whole))
    assert codes[0] == 1


def test_a_read_only_model_can_be_used_and_not_trained(disks, corpus, interrupted, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(interrupted, run)
    disks.command("mount", "--bind", run, run)
    disks.command("mount", "-o", "remount,ro,bind", run)
    ended = disks.run(tmp_path, *train_arguments(corpus, "--resume"))
    check_said(ended, Fault())
    assert ended.stderr == "charrnn: error: cannot write run/.lock: Read-only file system\n"
    sampled = disks.run(tmp_path, "sample", "-m", "run", "-l", "5", "--seed", "1")
    assert (sampled.code, sampled.stderr) == (0, "")
    assert len(sampled.stdout) == 5
    seen = disks.run(tmp_path, "inspect", "summary", "-m", "run")
    assert (seen.code, seen.stderr) == (0, "")
    assert "1 x 64 lstm" in seen.stdout


@pytest.mark.parametrize(
    "size", [*(pytest.param(n, marks=long) for n in (2_000, 100_000)), 300_000]
)
def test_a_limit_on_the_size_of_files_is_one_line_and_without_it_the_run_goes_on(
    server, cases, corpus, whole, size
):
    case = fresh_case(cases, "limit")
    ended = server.run(case, *train_arguments(corpus), limits={"FSIZE": size})
    assert ended.code == 1
    check_said(ended, Fault())
    assert "File too large" in ended.stderr
    check_resumed(server, case, corpus, whole)


@pytest.mark.parametrize("free", [48 << 20, *(pytest.param(n << 20, marks=long) for n in (8, 160))])
def test_memory_that_runs_out_in_a_step_is_one_line_that_says_what_to_lower(
    server, cases, corpus, free
):
    case = fresh_case(cases, "memory")
    options = ["--hidden-size", 1500, "--batch-size", 32, "--seq-length", 128, "--max-steps", 2]
    ended = server.run(
        case, "train", corpus, "-o", "run", "-q", "--threads", 1, *options, limits={"DATA": free}
    )
    assert ended.code == 1, ended
    check_said(ended, Fault())
    assert re.search("out of memory: lower .*--batch-size", ended.stderr)


@long
def test_sixteen_descriptors_are_enough(corpus, whole, tmp_path):
    arguments = " ".join(map(str, train_arguments(corpus)))
    script = f"ulimit -n 16; charrnn {arguments} && charrnn sample -m run -l 5 --seed 1 > text "
    ended = shell(script + "&& charrnn inspect summary -m run > seen", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert weights_hash(tmp_path / "run") == weights_hash(whole)


@long
def test_a_directory_removed_while_it_is_trained_in_ends_the_run_and_comes_back_nowhere(
    corpus, tmp_path
):
    arguments = [str(a) for a in train_arguments(corpus) if a != "-q"]
    arguments[arguments.index("--max-steps") + 1] = "100000"
    process = subprocess.Popen(
        [*CHARRNN, *arguments],
        cwd=tmp_path,
        env=environment(TMPDIR=str(tmp_path), OMP_NUM_THREADS="1"),
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if line.startswith("step 12 "):
            (tmp_path / "run").rename(tmp_path / "elsewhere")
            shutil.rmtree(tmp_path / "elsewhere")
            break
    last = process.stderr.read().splitlines()[-1]
    process.stderr.close()
    assert process.wait(60) == 1
    assert last == "charrnn: error: run was removed or replaced while it was in use"
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("command", [["sample", "-l", 50], ["inspect", "summary"]])
def test_results_that_cannot_be_written_are_one_line(server, whole, tmp_path, command):
    ended = server.run(tmp_path, *command, "-m", whole, stdout="/dev/full")
    assert ended.code == 1
    assert ended.stderr == (
        "charrnn: error: cannot write to standard output: No space left on device\n"
    )
    for closed, code in (([1], 1), ([0], 0), ([2], 0), ([0, 2], 0), ([0, 1, 2], 1)):
        ended = server.run(tmp_path, *command, "-m", whole, closed=closed)
        assert ended.code == code, closed
        assert len(ended.stderr.splitlines()) == (1 if closed == [1] else 0)


@pytest.mark.parametrize("closed", [*(pytest.param([n], marks=long) for n in range(3)), [0, 1, 2]])
def test_a_run_whose_descriptors_are_closed_is_the_same(server, cases, corpus, whole, closed):
    case = fresh_case(cases, "closed")
    ended = server.run(case, *train_arguments(corpus), closed=closed)
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "")
    assert weights_hash(case / "run") == weights_hash(whole)
