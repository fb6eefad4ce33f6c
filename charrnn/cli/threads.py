"""The environment that number libraries read when they are loaded: call before torch or NumPy."""

import os
from collections.abc import Mapping, MutableMapping

from charrnn.cores import num_usable_cores

SPIN_COUNT = 1000  # turns an idle OpenMP thread waits before it sleeps


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


def prepare_sampling() -> None:
    """Set one thread for NumPy's products, where at one token a time more would only wait.

    Large batches may import torch, whose waiting threads then sleep soon.
    """
    settle_threads({"OPENBLAS_NUM_THREADS": 1, "GOMP_SPINCOUNT": SPIN_COUNT})
