"""charrnn as a process, and as a call that ends in one line and an exit code."""

import os
import subprocess
import sys
from pathlib import Path

from charrnn.cli import run_command
from charrnn.cli.process import explain

TESTS = Path(__file__).parent
CHARRNN = [sys.executable, "-m", "charrnn"]


def refusal(*arguments):
    """Return the exit code and the line that end a command which must fail, without a process."""
    try:
        code = run_command([str(argument) for argument in arguments])
    except Exception as error:
        message, code = explain(error)
        return code, message
    raise AssertionError(f"{arguments} ended with {code}")


def environment(**changes):
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return {**os.environ, "PYTHONPATH": path, "TERM": "xterm", **changes}


def charrnn(*arguments, cwd=None, stdin=b"", env=None, timeout=60):
    """Run a command to its end; return the process with stdout and stderr as bytes."""
    return subprocess.run(
        [*CHARRNN, *map(os.fspath, arguments)],
        cwd=cwd,
        input=stdin,
        env=env or environment(),
        capture_output=True,
        timeout=timeout,
        check=False,
    )


def shell(script, cwd=None, env=None, timeout=60):
    """Run a line of bash in which `charrnn` is a command."""
    start = f'charrnn() {{ {sys.executable} -m charrnn "$@"; }}; '
    return subprocess.run(
        ["bash", "-c", start + script],
        cwd=cwd,
        env=env or environment(),
        capture_output=True,
        timeout=timeout,
        check=False,
    )


def complaint(process):
    """Return the only line on stderr, which must be an error line."""
    lines = process.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("charrnn: error: "), lines
    return lines[0].removeprefix("charrnn: error: ")
