"""One stream that is long: NumPy begins it, and half-size weights go on where they are quicker.

They need torch, whose import takes a second and memory: so not before it pays, and always after as
many tokens, whatever the length that was asked for, so that a longer sample begins with a shorter.
"""

import platform
from collections.abc import Iterator
from contextlib import suppress
from threading import Thread

from charrnn.growing import Turn
from charrnn.stepper import NumpyBackend, Stepper

LARGE = 1_500_000  # numbers in the matrices, of networks for which half-size weights are quicker
CACHED = 1 << 22  # of those that stay in a cache
PER_SECOND = 1.6e10, 6e9  # numbers that NumPy reads from a cache, and from memory: roughly
LONG = 4.0  # seconds of NumPy, after which the second that torch takes is soon earned back
X86 = ("x86_64", "AMD64")  # the processors that FBGEMM is for
NOT_HERE = (ImportError, OSError, MemoryError, RuntimeError)  # what torch says where it cannot be


def turns_of_one(stepper: Stepper) -> Iterator[Turn]:
    """Yield who steps one stream, for how many tokens: `stepper`, then perhaps a quicker one."""
    packed = stepper.packed
    can_be_half = isinstance(stepper.backend, NumpyBackend) and packed.fits_float16
    if packed.num_read < LARGE or not can_be_half or platform.machine() not in X86:
        yield stepper, None
        return
    yield stepper, num_first(packed.num_read)
    yield _half_size(stepper) or stepper, None


def num_first(num_read: int) -> int:
    """Return how many tokens are read by NumPy, where each reads as many numbers."""
    return int(LONG * PER_SECOND[num_read > CACHED] / num_read)


def _half_size(stepper: Stepper) -> Stepper | None:
    """Return a stepper that goes on with half-size weights, or None where torch cannot have them.

    Also where memory or descriptors are short: a stream that goes well does not end by this.
    """
    try:
        thread = Thread(target=_import_torch)
        thread.start()
        thread.join()
        from charrnn import fbgemm, torch_backend

        if not fbgemm.is_possible():
            return None
        half = stepper.resized(1, torch_backend.Float16Backend())
    except NOT_HERE:
        return None
    half.state = stepper.state
    return half


def _import_torch() -> None:
    """Import torch: in a thread, where no signal breaks it off, for a half cannot be mended."""
    with suppress(*NOT_HERE):
        import torch  # noqa: F401
