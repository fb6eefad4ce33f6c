"""A process on a terminal of its own, as a person would see it."""

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

from commands import CHARRNN, environment


class Terminal:
    """Runs a command on a pseudo-terminal; `redirect` gives some descriptors other files."""

    def __init__(self, command, columns=80, rows=24, cwd=None, **redirect):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.modes = termios.tcgetattr(self.master)
        streams = {"stdin": slave, "stdout": slave, "stderr": slave, **redirect}
        env = environment(**{k: os.environ[k] for k in ("PATH",)})
        for name in ("NO_COLOR", "COLUMNS", "LINES"):
            env.pop(name, None)

        def own_terminal():
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            command, cwd=cwd, env=env, preexec_fn=own_terminal, **streams
        )
        os.close(slave)
        self.seen = b""

    def __del__(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def type(self, text):
        os.write(self.master, text.encode())

    def read_until(self, wanted, timeout=30):
        """Return all that was shown once it holds `wanted`."""
        deadline = time.monotonic() + timeout
        while wanted.encode() not in self.seen:
            assert time.monotonic() < deadline, self.seen
            assert self._read(), (wanted, self.seen)
        return self.seen.decode()

    def end(self, timeout=30):
        """Return the exit code and all that was shown."""
        deadline = time.monotonic() + timeout
        while self._read():
            assert time.monotonic() < deadline, self.seen
        code = self.process.wait(timeout)
        self.after = termios.tcgetattr(self.master)
        os.close(self.master)
        return code, self.seen.decode()

    def _read(self):
        """Read what there is; return whether there may be more."""
        ready, _, _ = select.select([self.master], [], [], 0.1)
        if not ready:
            return True
        data = b""
        with contextlib.suppress(OSError):  # of Linux, when the last process has gone
            data = os.read(self.master, 65536)
        self.seen += data
        return bool(data)


def charrnn(*arguments, **options):
    return Terminal([*CHARRNN, *map(os.fspath, arguments)], **options)


def fake_training(*arguments, **options):
    """A training that never was, see fake_training.py."""
    script = Path(__file__).parent / "fake_training.py"
    return Terminal([sys.executable, str(script), "train", "a.txt", *arguments], **options)
