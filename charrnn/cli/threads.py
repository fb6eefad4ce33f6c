"""The process that number libraries are loaded into: call before torch or NumPy."""

import ctypes
import os
from collections.abc import Mapping, MutableMapping

from charrnn.cores import num_usable_cores

SPIN_COUNT = 1000  # turns an idle OpenMP thread waits before it sleeps
# Options of mallopt(3), by number, and bytes
OWN_BLOCK = -3, 2**25  # from which on a block is fetched and given back alone: no more is taken
KEPT_FREE = -1, 2**28  # what may lie free at the end of the memory
FETCHED_AHEAD = -2, 2**26  # how much more than needed is asked for: all that a thread's heap holds


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


def keep_freed_memory(environ: Mapping[str, str] = os.environ) -> None:
    """Make the C library keep what is freed for the next request.

    A step asks for the same megabytes again and again. Given back to the system and fetched again
    they come as empty pages, one fault for 4 kB, and threads wait for each other there. Does
    nothing where it is not glibc, or where `environ` settles these options.
    """
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    settled = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in environ)
    if adjust is None or settled:
        return
    for option, value in (OWN_BLOCK, KEPT_FREE, FETCHED_AHEAD):
        adjust(option, value)


def prepare_sampling() -> None:
    """Set one thread for NumPy's products, where at one token a time more would only wait.

    Large batches may import torch, whose waiting threads then sleep soon.
    """
    settle_threads({"OPENBLAS_NUM_THREADS": 1, "GOMP_SPINCOUNT": SPIN_COUNT})
