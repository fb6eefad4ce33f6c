"""The cores of this machine that are this process's to use."""

import os


def num_usable_cores() -> int:
    """Return how many cores this process may use, whatever else is running on them.

    Of several that torchrun started on one machine each has its share.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, (cores or 1) // positive("LOCAL_WORLD_SIZE"))


def num_ranks() -> int:
    """Return how many processes train together, as torchrun says; 1 without it."""
    return positive("WORLD_SIZE")


def own_rank() -> int:
    """Return which of them this is, from 0 on."""
    return int(os.environ.get("RANK", "0")) if num_ranks() > 1 else 0


def positive(name: str) -> int:
    """Return a number of the environment; 1 where it is not there or makes no sense."""
    text = os.environ.get(name, "1")
    return max(1, int(text)) if text.isdecimal() else 1
