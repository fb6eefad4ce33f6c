"""Generators that run on threads, side by side, and are told one after the other, in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from queue import SimpleQueue
from threading import Event, Thread, current_thread
from typing import Generic, TypeVar

T = TypeVar("T")
Make = Callable[[], Iterator[T]]


def in_order(makers: Iterable[Make[T]], at_once: int) -> Iterator[T]:
    """Yield all items of the first maker's iterator, then of the second's, and so on.

    With `at_once` > 1 as many run on threads of their own, each started when one before it has been
    told: what waits is bounded by their items. Of each maker all that happens after the call is on
    its thread. An exception of an iterator is raised in its place; then, and when the caller stops,
    the others end at their next item. No thread outlives the last item: one that still lets go of
    torch's memory while Python ends would take the process with it.
    """
    if at_once == 1:
        for make in makers:
            yield from make()
        return
    stopped, rest = Event(), iter(makers)
    running = deque(Feed(make, stopped) for make in islice(rest, at_once))
    try:
        while running:
            yield from running[0].items()
            running.popleft().join()
            running.extend(Feed(make, stopped) for make in islice(rest, 1))
    finally:
        stopped.set()
        for feed in running:
            feed.join()


class Feed(Generic[T]):
    """One iterator that runs ahead on a thread."""

    def __init__(self, make: Make[T], stopped: Event) -> None:
        """Start it; it ends early once `stopped` is set."""
        self._queue: SimpleQueue[tuple[T] | BaseException | None] = SimpleQueue()
        self._thread = Thread(target=self._run, args=(make, stopped), daemon=True)
        self._thread.start()

    def items(self) -> Iterator[T]:
        """Yield its items, and raise what it raised."""
        while (found := self._queue.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield from found

    def join(self) -> None:
        """Wait till its thread has ended; not on that thread, where a collector may call."""
        if self._thread is not current_thread():
            self._thread.join()

    def _run(self, make: Make[T], stopped: Event) -> None:
        try:
            for item in make():
                if stopped.is_set():
                    return
                self._queue.put((item,))
        except BaseException as error:  # to be raised where the items are taken
            self._queue.put(error)
        finally:
            self._queue.put(None)
