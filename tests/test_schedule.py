"""When things are due: in steps, by the clock, and evaluations that would cost too much later."""

import pytest

from charrnn.config import TrainConfig
from charrnn.schedule import Schedule


def by_the_clock(seconds=600.0, **every):
    schedule = Schedule(TrainConfig(max_time=seconds, **every))
    schedule.start(0.0)
    return schedule


def test_options_count_in_steps_whatever_the_clock_says():
    schedule = by_the_clock(eval_every=7, save_every=0)
    assert [step for step in range(1, 22) if schedule.is_due("eval", step, 0.0)] == [7, 14, 21]
    assert not schedule.is_due("save", 7, 1e9)


def test_a_short_budget_is_evaluated_within_its_first_quarter():
    assert by_the_clock(20.0).next_seconds["eval"] == 5
    assert by_the_clock(600.0).next_seconds["eval"] == 10


def test_the_next_evaluation_waits_until_the_last_was_a_twentyfifth_of_the_time():
    schedule = by_the_clock()
    schedule.done("eval", 100.0, cost_seconds=4.0)
    assert schedule.next_seconds["eval"] == pytest.approx(200)
    schedule.done("eval", 100.0, cost_seconds=0.01)
    assert schedule.next_seconds["eval"] == pytest.approx(130)


def test_a_dear_first_evaluation_is_put_off_and_a_cheap_one_is_not():
    schedule = by_the_clock()
    schedule.expect(0.1)
    assert schedule.next_seconds["eval"] == 10
    schedule.expect(15.0)
    assert schedule.next_seconds["eval"] == pytest.approx(375)


def test_saves_by_the_clock_are_a_minute_apart():
    schedule = by_the_clock()
    assert [schedule.is_due("save", 1, t) for t in (0.0, 59.9, 60.0)] == [False, False, True]
    schedule.done("save", 71.0)
    assert [schedule.is_due("save", 2, t) for t in (130.9, 131.0)] == [False, True]


def test_a_run_counted_in_steps_is_saved_by_the_clock_too():
    schedule = Schedule(TrainConfig(max_steps=10**6, log_every=7))
    schedule.start(500.0)
    assert [schedule.is_due("save", 7, now) for now in (559.9, 560.0)] == [False, True]
    schedule.done("save", 570.0)
    assert [schedule.is_due("save", 7, now) for now in (629.9, 630.0)] == [False, True]


def test_logs_and_samples_are_shares_of_the_budget_apart():
    schedule = by_the_clock(3600.0)
    assert (schedule.next_seconds["log"], schedule.next_seconds["sample"]) == (2, 15)
    for kind in ("log", "sample"):
        schedule.done(kind, 100.0, cost_seconds=50.0)
    assert schedule.next_seconds["log"] == pytest.approx(136)
    assert schedule.next_seconds["sample"] == pytest.approx(550)


def test_a_later_sitting_counts_from_where_it_begins():
    schedule = Schedule(TrainConfig(max_time=600.0))
    schedule.start(200.0)
    assert schedule.next_seconds == {"log": 202, "eval": 210, "sample": 215, "save": 260}
