"""The process that number libraries are loaded into: call before torch or NumPy."""

import ctypes
import os
from collections.abc import Mapping, MutableMapping

from charrnn.cores import num_usable_cores

SPIN_COUNT = 1000  # turns an idle OpenMP thread waits before it sleeps
# Of mallopt(3), in bytes: the smallest block of its own (the largest value that is taken), what may
# lie free at the end, and how much more than needed is asked for
KEPT_MEMORY = {
    "M_MMAP_THRESHOLD": (-3, 2**25),
    "M_TRIM_THRESHOLD": (-1, 2**30),
    "M_TOP_PAD": (-2, 2**26),
}


def settle_threads(
    wanted: Mapping[str, int | str], environ: MutableMapping[str, str] = os.environ
) -> None:
    """Put into `environ` what it does not say itself."""
    for name, value in wanted.items():
        environ.setdefault(name, str(value))


def prepare_torch(threads: int | None = None) -> None:
    """Set the OpenMP threads for torch, by default one a core; waiting threads sleep soon.

    When another process is busy on a core, threads that spin take the time that the others need:
    at libgomp's default training falls to a third and less. Most of a step needs no OpenMP, for its
    streams are dealt to threads (shards.py); what is left bears a short spin.
    """
    settle_threads({"OMP_NUM_THREADS": threads or num_usable_cores(), "GOMP_SPINCOUNT": SPIN_COUNT})
    keep_freed_memory()


def keep_freed_memory() -> None:
    """Make the C library keep what is freed for the next request; nothing where it is not glibc.

    A step asks for the same megabytes again and again. Given back to the system and fetched again
    they come as empty pages, one fault for 4 kB, and threads wait for each other there.
    """
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    if adjust is not None:
        for option, value in KEPT_MEMORY.values():
            adjust(option, value)


def prepare_sampling() -> None:
    """Set one thread for NumPy's products, where at one token a time more would only wait.

    Large batches may import torch, whose waiting threads then sleep soon.
    """
    settle_threads({"OPENBLAS_NUM_THREADS": 1, "GOMP_SPINCOUNT": SPIN_COUNT})
