"""Generators on threads: their order, their errors, and that none is left behind."""

import itertools
import queue
import threading
import time

import pytest

from charrnn import sidebyside
from charrnn.sidebyside import in_order

COUNTS = [0, 3, 1, 40, 2]


def counter(index, count):
    return lambda: ((index, number) for number in range(count))


@pytest.mark.parametrize("at_once", [1, 2, 3, 9])
def test_items_come_in_the_order_of_their_makers(at_once):
    makers = [counter(index, count) for index, count in enumerate(COUNTS)]
    wanted = [(index, number) for index, count in enumerate(COUNTS) for number in range(count)]
    assert list(in_order(makers, at_once)) == wanted


def test_each_runs_on_a_thread_of_its_own_and_as_many_at_once_as_asked_for():
    meeting = threading.Barrier(3, timeout=20)

    def meet():
        meeting.wait()  # fails where fewer than three run
        yield threading.get_ident()

    assert len(set(in_order([meet] * 3, 3))) == 3


def test_no_more_are_begun_than_run_at_once():
    begun = []

    def makers():
        for index in itertools.count():
            begun.append(index)
            yield counter(index, 1)

    items = in_order(makers(), 2)
    assert next(items) == (0, 0)
    assert begun == [0, 1]
    assert next(items) == (1, 0)
    assert begun == [0, 1, 2]
    items.close()


def test_an_error_is_raised_in_its_place():
    def fail():
        yield "before"
        raise ValueError("in the second")

    found = []
    with pytest.raises(ValueError, match="in the second"):
        found.extend(in_order([counter(0, 2), fail, counter(2, 2)], 3))
    items = in_order([counter(0, 2), fail, counter(2, 2)], 3)
    assert list(itertools.islice(items, 3)) == [(0, 0), (0, 1), "before"]
    items.close()


def test_threads_end_when_the_caller_stops():
    threads = []

    def count():
        threads.append(threading.current_thread())
        yield from itertools.count()

    items = in_order([count] * 3, 3)
    assert list(itertools.islice(items, 5)) == [0, 1, 2, 3, 4]
    while len(threads) < 3:
        time.sleep(0.01)
    assert all(thread.is_alive() for thread in threads)
    items.close()
    assert not any(thread.is_alive() for thread in threads)


class SlowToGo(queue.Queue):
    """Keeps a thread for a while that has said its last."""

    def put(self, item):
        super().put(item)
        if item is None:
            time.sleep(0.2)


def test_no_thread_is_left_when_all_is_told(monkeypatch):
    monkeypatch.setattr(sidebyside, "SimpleQueue", SlowToGo)
    threads = list(in_order([lambda: iter([threading.current_thread()])] * 3, 2))
    assert len(set(threads)) == 3
    assert not any(thread.is_alive() for thread in threads)


def test_the_caller_may_stop_on_one_of_its_own_threads():
    stopped = threading.Event()

    def stop():
        yield 0
        while not hand:
            time.sleep(0.01)
        hand.pop().close()  # as a garbage collector may
        stopped.set()

    hand = []
    items = in_order([lambda: iter([1]), stop], 2)
    assert next(items) == 1
    hand.append(items)
    assert stopped.wait(20)
