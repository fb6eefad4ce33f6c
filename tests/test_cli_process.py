"""The process around a command: what it needs open, what it says, and how it ends."""

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import charrnn, complaint, environment, shell

import charrnn as package
from charrnn.cli.process import explain, memory_advice
from charrnn.errors import BusyError, ConfigError, FailureError

FULL = Path("/dev/full")


def python(code, **options):
    """Run a command that `code` defines as `command` within the process of charrnn."""
    start = "import sys, os\nfrom charrnn.cli.process import run_process\n"
    end = "\nraise SystemExit(run_process(command))"
    return subprocess.run(
        [sys.executable, "-c", start + code + end],
        capture_output=True,
        env=environment(),
        check=False,
        timeout=60,
        **options,
    )


def raising(expression):
    return python(f"def command():\n    sys.stdout.write('before\\n')\n    raise {expression}")


@pytest.mark.parametrize("arguments", [[], ["inspect"], ["--help"], ["train", "-h"]])
def test_bare_commands_list_what_there_is(arguments):
    process = charrnn(*arguments)
    assert (process.returncode, process.stderr) == (0, b"")
    assert process.stdout.startswith(b"Usage: charrnn")
    assert b"\x1b" not in process.stdout


@pytest.mark.slow
def test_help_lists_every_command_and_its_options():
    assert all(name in charrnn().stdout.decode() for name in ("train", "sample", "inspect"))
    text = charrnn("train", "--help", env=environment(COLUMNS="200")).stdout.decode()
    assert "--max-time TIME" in text
    assert "[default: 5m]" in text
    assert "lstm|gru|rnn|peephole" in text
    assert "--no-" not in text


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_the_version_is_told(flag):
    assert charrnn(flag).stdout.decode() == f"charrnn {package.__version__}\n"


def test_help_imports_neither_torch_nor_numpy_nor_rich():
    code = (
        "import sys\nfrom charrnn.cli import run_command\nrun_command(['train', '--help'])\n"
        "print(sorted({'torch', 'numpy', 'rich'} & set(sys.modules)), file=sys.stderr)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert process.stderr.decode() == "[]\n"


@pytest.mark.slow
@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_the_shell_can_complete_commands_and_choices(shell_name):
    def completions(line):
        variables = {
            "_CHARRNN_COMPLETE": f"complete_{shell_name}",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
            "_TYPER_COMPLETE_ARGS": line,
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
        return charrnn(env=environment(**variables)).stdout.decode()

    assert "sample" in completions("charrnn s")
    assert "peephole" in completions("charrnn train --cell p")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ConfigError("a is 1: needs 2"), 2, "a is 1: needs 2"),
        (BusyError("busy"), 1, "busy"),
        (FileNotFoundError(errno.ENOENT, "No such file", "x/y"), 1, "x/y: No such file"),
        (OSError(errno.EIO, "Input/output error"), 1, "Input/output error"),
        (MemoryError(), 1, "out of memory: needs a smaller text, model or batch"),
        (ValueError("what"), 1, "ValueError: what (set CHARRNN_DEBUG=1 for the traceback)"),
    ],
)
def test_each_error_has_its_code_and_its_words(error, code, message):
    assert explain(error) == (message, code)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        RuntimeError("could not create a primitive"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_memory_that_ran_out_says_what_to_lower(error):
    with (
        pytest.raises(FailureError, match=r"^out of memory: lower --batch-size$"),
        memory_advice("lower --batch-size"),
    ):
        raise error
    with pytest.raises(RuntimeError, match="another"), memory_advice("lower --batch-size"):
        raise RuntimeError("another")


def test_an_error_is_one_line_whatever_its_words_hold():
    process = raising("ValueError('a\\nb \\x1b[31m \\udcff [/x]')")
    assert (process.returncode, process.stdout) == (1, b"before\n")
    assert complaint(process).startswith("ValueError: a b \\x1b[31m \\udcff [/x] (set ")


def test_a_traceback_is_there_for_those_who_ask():
    code = "def command():\n    os.environ['CHARRNN_DEBUG'] = '1'\n    raise ValueError('what')"
    process = python(code)
    assert process.returncode == 1
    assert b"Traceback" in process.stderr
    assert process.stderr.endswith(b"traceback)\n")


def test_warnings_of_libraries_are_not_shown():
    process = python("def command():\n    import warnings; warnings.warn('x')\n    return 0")
    assert (process.returncode, process.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("error", "signum"),
    [("KeyboardInterrupt", signal.SIGINT), ("KilledError(15)", signal.SIGTERM)],
)
def test_a_process_that_a_signal_ends_dies_by_it(error, signum):
    code = f"from charrnn.cli.process import KilledError\ndef command():\n    raise {error}"
    process = python(code)
    assert process.returncode == -signum
    assert process.stderr == b""


def test_a_shell_loop_stops_at_ctrl_c():
    code = "import os, signal; from charrnn.cli.process import run_process; "
    code += "run_process(lambda: os.killpg(0, signal.SIGINT) or 0)"
    script = f"for i in 1 2 3; do {sys.executable} -c '{code}'; echo again; done"
    process = subprocess.run(
        ["bash", "-c", script], capture_output=True, start_new_session=True, check=False
    )
    assert (process.returncode, process.stdout) == (-signal.SIGINT, b"")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("closed", "code"), [("<&-", 0), (">&-", 1), ("2>&-", 0), (">&- 2>&-", 1), ("<&- 2>&-", 0)]
)
def test_closed_descriptors_are_no_accident(closed, code):
    assert shell(f"charrnn --version {closed}").returncode == code


def test_a_closed_standard_output_is_named():
    process = shell("charrnn sample >&-")
    assert process.returncode == 1
    assert complaint(process) == "cannot write to standard output: it is closed"


def test_a_file_opened_later_never_gets_a_standard_descriptor(tmp_path):
    code = (
        "def command():\n    with open(os.devnull) as f:\n        number = f.fileno()\n"
        f"    open({str(tmp_path / 'n')!r}, 'w').write(str(number))\n    return 0"
    )
    start = "import sys, os\nfrom charrnn.cli.process import run_process\n"
    (tmp_path / "c.py").write_text(f"{start}{code}\nraise SystemExit(run_process(command))")
    script = f"{sys.executable} {tmp_path}/c.py <&- >&- 2>&-"
    subprocess.run(["bash", "-c", script], check=True, env=environment())
    assert int((tmp_path / "n").read_text()) > 2


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_full_disk_behind_standard_output_is_named():
    process = shell("charrnn --help > /dev/full")
    assert process.returncode == 1
    assert complaint(process) == "cannot write to standard output: No space left on device"


def test_nobody_reading_is_no_error():
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "charrnn", "--help"]
    process = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (process.returncode, process.stderr) == (0, b"")


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [{"LC_ALL": "C"}, {"COLUMNS": "abc"}, {"COLUMNS": "0"}, {"TERM": "dumb"}]
)
def test_output_is_utf8_whatever_the_environment(changes):
    code = "def command():\n    sys.stdout.write('é\\u2028\\r\\n\\udcff'); return 0"
    start = "import sys, os\nfrom charrnn.cli.process import run_process\n"
    process = subprocess.run(
        [sys.executable, "-c", f"{start}{code}\nraise SystemExit(run_process(command))"],
        capture_output=True,
        env=environment(**changes),
        check=True,
    )
    assert process.stdout == "é\u2028\r\n\\udcff".encode()
    assert charrnn("sample", "-h", env=environment(**changes)).returncode == 0


def test_a_deleted_working_directory_and_no_home_are_no_obstacle(tmp_path):
    script = f"mkdir {tmp_path}/d; cd {tmp_path}/d; rmdir {tmp_path}/d; unset HOME; charrnn -V"
    assert shell(script).returncode == 0


@pytest.mark.slow
def test_help_takes_a_third_of_a_second():
    def seconds():
        """Of computing, whatever else is running."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert charrnn("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(3)) <= 0.3
