"""The cores of this machine that are this process's to use."""

import os


def num_usable_cores() -> int:
    """Return how many cores this process may use, whatever else is running on them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS
