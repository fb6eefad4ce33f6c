"""The operating system's file calls, counted, and failing when told to."""

import contextlib
import errno
import os

CALLS = (
    *("open", "write", "pwrite", "fsync", "replace", "close"),
    *("mkdir", "unlink", "rmdir", "ftruncate", "fchmod"),
)


class FailingOs:
    """Counts the calls in CALLS; the one numbered `at` fails, and those after it if `for_good`."""

    def __init__(self, at=0, code=errno.EIO, for_good=False, short=False):
        self.at, self.code, self.for_good, self.short = at, code, for_good, short
        self.calls = []  # (name, path or descriptor)

    def wrap(self, name, real):
        def call(*args, **kwargs):
            self.calls.append((name, *args))
            number = len(self.calls)
            if number == self.at or (self.for_good and number > self.at > 0):
                if self.short and name in ("write", "pwrite"):
                    return real(args[0], bytes(args[1])[: max(1, len(args[1]) // 2)], *args[2:])
                if not self.short:
                    if name == "close":
                        real(*args)
                    raise OSError(self.code, os.strerror(self.code))
            return real(*args, **kwargs)

        return call

    def names(self):
        return [call[0] for call in self.calls]

    @contextlib.contextmanager
    def __call__(self):
        """Let the calls within the block be counted, and fail."""
        real = {name: getattr(os, name) for name in CALLS}
        for name, function in real.items():
            setattr(os, name, self.wrap(name, function))
        try:
            yield self
        finally:
            for name, function in real.items():
                setattr(os, name, function)


def count(action):
    """Return how many file calls `action` makes."""
    with FailingOs()() as system:
        action()
    return len(system.calls)
