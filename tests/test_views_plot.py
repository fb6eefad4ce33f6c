"""Curves on a terminal, with colours and without."""

import pytest
from rich.console import Console

from charrnn.display.views.curve import show_curve
from charrnn.display.views.plot import MARKS, braille_plot, marks_of
from charrnn.views.curve import Curve

LINES = [
    ("up", [(0.0, 0.0), (10.0, 1.0)]),
    ("down", [(0.0, 1.0), (10.0, 0.0)]),
]


def plain(lines):
    return [line.plain[8:] for line in lines]


def test_with_marks_a_curve_is_drawn_in_its_own_sign():
    lines = plain(braille_plot(LINES, 28, 6, ["", ""], ["", "o"]))
    assert lines[0].startswith("o")
    assert lines[-1].endswith("o")
    assert "o" not in lines[0][-3:]
    assert any(0x2800 < ord(char) < 0x2900 for char in lines[-1][:3])
    assert not any(0x2800 < ord(char) < 0x2900 for char in lines[0][:3])


def test_where_curves_cross_the_sign_stays():
    lines = plain(braille_plot(list(reversed(LINES)), 28, 6, ["", ""], ["o", ""]))
    assert all("o" in line for line in lines)


def test_colours_need_no_marks_and_no_two_curves_have_the_same():
    coloured = Console(force_terminal=True, color_system="truecolor")
    assert marks_of(3, coloured) == ["", "", ""]
    assert len(set(marks_of(len(MARKS), Console(color_system=None)))) == len(MARKS)


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1", "FORCE_COLOR": "1"}, {}])
def test_training_and_held_out_loss_are_told_apart_without_colours(
    capsys, monkeypatch, environment
):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    log = [
        {"step": s, "loss": 3 - s / 100, "learning_rate": 0.1, "grad_norm": 1.0}
        | {"elapsed_seconds": 1.0}
        for s in range(0, 200, 10)
    ]
    evaluations = [{"step": s, "valid_loss": 3 - s / 200} for s in range(50, 200, 50)]
    show_curve(Curve(log, evaluations, [], 150, 2.25, None, None), width=60)
    lines = capsys.readouterr().out.splitlines()
    assert "⠒⠒ train  o valid" in lines[0]
    assert any("o" in line for line in lines[1:10])
