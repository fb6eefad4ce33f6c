"""The displays of a training run, drawn to fixed widths and read back as a terminal would."""

import io
import re
from pathlib import Path

import pytest
from training_reports import HOSTILE, end, evaluation, log, start, step, whole_run

from charrnn.display.live import REFRESH_SECONDS, LiveDisplay, fields, make_console
from charrnn.display.output import Messages
from charrnn.display.paint import Paint, has_color
from charrnn.display.plain import PlainLog, QuietLog
from charrnn.display.progress import Progress
from charrnn.display.training import choose_display
from charrnn.reports import NoteReport, SampleReport

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")
MOVES = re.compile(r"\x1b\[(\d*)([A-Za-z])|\x1b")


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Screen:
    """A terminal that knows newline, return, cursor up, clear down and colours, nothing else."""

    def __init__(self, text):
        self.lines, self.row = [""], 0
        position = 0
        for match in MOVES.finditer(text):
            self.write(text[position : match.start()])
            position = match.end()
            assert match[2] in ("A", "J", "m"), f"unknown code {match[0]!r}"
            if match[2] == "A":
                self.row -= int(match[1])
                assert self.row >= 0
            elif match[2] == "J":
                del self.lines[self.row :]
                self.lines.append("")
        self.write(text[position:])

    def write(self, text):
        for character in text:
            if character == "\n":
                self.row += 1
                if self.row == len(self.lines):
                    self.lines.append("")
            elif character == "\r":
                assert self.row < len(self.lines)
            else:
                assert not CONTROL.match(character), repr(character)
                self.lines[self.row] += character


def live(reports, width, color=False, height=30, clock=None):
    """Return the screen and the raw output of a live display."""
    stream = Terminal()
    console = make_console(stream, color)
    console.size = (width, height)
    ticks = iter(range(10**6))
    display = LiveDisplay(
        Messages(stream), Paint(color), console, clock=clock or (lambda: float(next(ticks)))
    )
    for report in reports:
        display.show(report)
    return Screen(stream.getvalue()), stream.getvalue()


def plain(reports, kind=PlainLog, **options):
    stream = io.StringIO()
    log = kind(Messages(stream), Paint(False), **options)
    for report in reports:
        log.show(report)
    return stream.getvalue().splitlines()


def test_a_plain_log_has_one_line_a_report_and_no_control_characters():
    lines = plain(whole_run())
    starts = [line.split("  ")[0] for line in lines if line.startswith("step")]
    assert starts == [f"step {n}" for n in (1, 2, 3, 4, 4, 4, 5, 6, 7, 8, 8, 8, 8)]
    assert not any(CONTROL.search(line) for line in lines)
    assert "charrnn: warning: few tokens: \\x1b[31m" in lines
    assert "charrnn: warning: step 9 is not finite: [/x]" in lines


def test_a_log_line_says_how_far_how_well_and_how_fast():
    *_, line = plain([start(), step(10), step(20, loss=2.5), log(20)])
    assert line == (
        "step 20  50.0%  epoch 2.00  loss 2.5000 (3.607 bits/char)  lr 0.00312  |grad| 0.512  "
        "45.2k tokens/s  eta 10s"
    )


def test_bits_of_words_are_shown_from_the_first_evaluation_on():
    words = start(config=start().config.__class__(level="word", precision="fp32"))
    before, _, after = plain([words, step(1), log(1), evaluation(2, 4.0, 1.5), step(2), log(2)])[2:]
    assert "bits/char" not in before
    assert "loss 2.5000 (perplexity 12.18, 0.938 bits/char)" in after


def test_the_panel_shows_the_perplexity_of_words_and_the_bits_of_characters():
    words = start(config=start().config.__class__(level="word", precision="fp32"))
    for first, train, valid in (
        (words, "2.5000 (perplexity 12.18)", "4.0000 (perplexity 54.6)"),
        (start(), "2.5000 (0.938 bits/char)", "4.0000 (1.500 bits/char)"),
    ):
        progress = Progress()
        for report in (first, step(1), log(1), evaluation(2, 4.0, 1.5)):
            progress.update(report)
        shown = dict(fields(progress))
        assert (shown["train"], shown["valid"]) == (train, valid)


def test_the_sample_is_kept_on_one_plain_line():
    (line,) = plain([SampleReport(7, HOSTILE)])
    hostile = "\\x1b[2J\\x1b]52;c;aGk=\\x07 [/x] [bold]:smile: \\u202e\\r\\x9b6n\\n\\tand on"
    assert line == f"step 7  sample  {hostile}"


def test_a_run_ends_with_its_result_and_the_command_that_samples(tmp_path):
    line = plain([end(1234, tmp_path / "it's mine")])[-1]
    assert line.startswith("best loss 1.5000 (2.164 bits/char) at step 1,234, 3m07s -> ")
    assert line.endswith(f"charrnn sample -m '{tmp_path}/it'\"'\"'s mine'")


def test_a_run_without_validation_ends_without_a_loss():
    assert plain([end(5, loss=None, bits=None)])[-1].startswith("step 5, nothing held out")


@pytest.mark.parametrize("kind", [PlainLog, QuietLog])
def test_a_stopped_run_ends_with_the_command_that_goes_on(kind):
    lines = plain([start(), end(5, "-run dir", stopped="signal")], kind)
    assert lines[-1] == "saved at step 5; to go on: charrnn train --resume -o '-run dir'"


def test_quiet_says_warnings_only():
    assert plain(whole_run(), QuietLog) == [
        "charrnn: warning: few tokens: \\x1b[31m",
        "charrnn: warning: step 9 is not finite: [/x]",
    ]


def test_verbose_says_what_is_saved():
    assert "step 4  saved runs/play/checkpoints/step-00000004.safetensors" in plain(
        whole_run(), verbose=True
    )
    assert not any("saved" in line for line in plain(whole_run()))


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("color", [False, True])
def test_the_live_display_fits_and_obeys_nothing_foreign(width, color):
    screen, raw = live(whole_run(), width, color)
    assert all(len(line) <= max(width, 100) for line in screen.lines)
    shown = "\n".join(screen.lines)
    assert "sample at step 8" in shown
    assert "\\x1b[2J\\x1b]52" in shown
    assert "\x1b[?25" not in raw  # the cursor is never hidden
    assert "\x1b[2J" not in raw
    assert bool(re.search(r"\x1b\[[\d;]*m", raw)) == color


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_frame_has_every_number_and_no_line_is_too_long(width):
    reports = list(whole_run())[:-3]
    screen, _ = live(reports, width)
    frame = screen.lines[screen.lines.index("charrnn: warning: few tokens: \\x1b[31m") + 1 :]
    text = " ".join(frame)
    for part in ("step 8", "done 100.0%", "ETA 0s", "train 2.4", "valid 1.5000 (2.164 bits/char)"):
        assert part in text
    for part in ("tokens/s 45.2k", "lr 0.00312", "|grad| 0.512", "█▇", "[/x] [bold"):
        assert part in text
    assert all(len(line) < width for line in frame)


def test_frames_replace_each_other_and_warnings_stay_above():
    screen, _ = live(whole_run(), 80)
    shown = "\n".join(screen.lines)
    assert shown.count("sample at step") == 1
    assert shown.count("ETA") == 1
    assert shown.index("step 9 is not finite") < shown.index("ETA") < shown.index("best loss")
    assert screen.lines[-1] == ""  # the prompt of the shell gets a line of its own


def test_a_low_terminal_gets_a_low_frame():
    screen, raw = live(whole_run(), 80, height=4)
    assert max(int(n) for n in re.findall(r"\x1b\[(\d+)A", raw)) == 3
    assert "sample at step" not in "\n".join(screen.lines)


def test_steps_are_painted_only_a_few_times_a_second():
    now = [100.0]

    def at(seconds, report):
        now[0] = 100 + seconds
        return report

    reports = [at(0, start()), *map(step, range(1, 40))]
    _, raw = live(reports, 80, clock=lambda: now[0])
    assert "step 1 " in raw
    assert "step 2 " not in raw
    timed = (at(t, step(n)) for n, t in ((1, 0), (2, REFRESH_SECONDS / 2), (3, REFRESH_SECONDS)))
    _, raw = live(timed, 80, clock=lambda: now[0])
    assert [n for n in "123" if f"step {n} " in raw] == ["1", "3"]


def test_after_a_stop_the_next_frame_goes_below_what_the_shell_wrote():
    stream = Terminal()
    console = make_console(stream, False)
    console.size = (80, 30)
    display = LiveDisplay(Messages(stream), Paint(False), console)
    display.show(start())
    display.show(step(1))
    stream.truncate(0)
    display.resumed()
    display.show(log(2))
    assert not stream.getvalue().lstrip("\0").startswith("\x1b")


@pytest.mark.parametrize("value", ["0", "1", "abc", "-5", ""])
def test_a_strange_size_in_the_environment_is_ignored(monkeypatch, value):
    monkeypatch.setenv("COLUMNS", value)
    monkeypatch.setenv("LINES", value)
    console = make_console(Terminal(), True)
    assert console.width >= 40
    assert console.height >= 10


class Broken(io.StringIO):
    def write(self, text):
        raise BrokenPipeError

    def fileno(self):
        raise OSError


def test_a_display_that_nobody_reads_says_nothing_more():
    log = PlainLog(Messages(Broken()), Paint(False))
    for report in whole_run():
        log.show(report)
    assert log.messages.muted


def test_the_display_is_live_only_on_a_terminal_that_can_move_its_cursor(monkeypatch):
    def kind(stream, **options):
        defaults = {"quiet": False, "verbose": False, "shared": False}
        return type(choose_display(stream, **{**defaults, **options}))

    monkeypatch.setenv("TERM", "xterm")
    assert kind(Terminal()) is LiveDisplay
    assert kind(io.StringIO()) is PlainLog
    assert kind(Terminal(), shared=True) is PlainLog
    assert kind(Terminal(), quiet=True) is QuietLog
    monkeypatch.setenv("TERM", "dumb")
    assert kind(Terminal()) is PlainLog


def test_colours_follow_the_option_then_no_color_then_the_terminal():
    assert has_color("always", io.StringIO(), {"NO_COLOR": "1"})
    assert not has_color("never", Terminal(), {})
    assert has_color("auto", Terminal(), {"TERM": "xterm", "NO_COLOR": ""})
    assert not has_color("auto", Terminal(), {"TERM": "xterm", "NO_COLOR": "1"})
    assert not has_color("auto", Terminal(), {"TERM": "dumb"})
    assert not has_color("auto", io.StringIO(), {"TERM": "xterm"})


def test_the_rest_of_the_time_follows_the_pace_of_this_sitting():
    progress = Progress()
    progress.update(step(30, total=100, elapsed_seconds=1000.0))
    assert progress.eta_seconds is None
    progress.update(step(40, total=100, elapsed_seconds=1020.0))
    assert progress.eta_seconds == pytest.approx(120)


def test_the_training_loss_is_an_average_without_the_bias_of_its_start():
    progress = Progress()
    for loss in (3.0, 3.0, 3.0):
        progress.update(step(1, loss=loss))
    assert progress.train_loss == pytest.approx(3.0)
    progress.update(NoteReport("x"))
    assert progress.notes == ["x"]


LONG = "/a very/long path of many words/" + "x" * 90


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize("stopped", ["budget", "signal"])
def test_on_a_terminal_lines_fold_between_words_and_commands_stay_whole(width, stopped):
    note = "of several words that say what is to be known of it, and one more"
    begin = start(notes=(note,), reason="because " * 20 + "so")
    screen, _ = live([begin, step(1), end(5, Path(LONG), stopped=stopped)], width)
    lines = screen.lines
    command = {
        "budget": f"charrnn sample -m '{LONG}'",
        "signal": f"charrnn train --resume -o '{LONG}'",
    }[stopped]
    assert lines.count(command) == 1
    texts = [line for line in lines if "x" * 90 not in line]
    assert all(len(line) < width for line in texts)
    words = " ".join(texts).split()
    assert words.count("because") == 20
    assert set(f"{begin.reason} {note}".split()) <= set(words)


def test_a_command_that_fits_stays_on_the_line():
    screen, _ = live([start(), step(1), end(5)], 120)
    assert screen.lines[-2].endswith(" -> runs/play   charrnn sample -m runs/play")


def test_a_pipe_gets_fifty_log_lines_of_a_long_run_unless_it_asks_for_all():
    reports = [report for n in range(1, 1001) for report in (step(n, total=1000), log(n))]
    lines = plain([start(), *reports])[2:]
    assert 48 <= len(lines) <= 51
    assert (lines[0].split()[1], lines[-1].split()[1]) == ("1", "1,000")
    assert len(plain([start(), *reports], every_log=True)) == 1002


def test_without_a_held_out_part_no_evaluation_is_shown():
    bare = start(num_valid_tokens=0)
    reports = [bare, step(1), evaluation(1, None, None), evaluation(1, None, None, final=True)]
    lines = plain(reports)
    assert len(lines) == 2
    assert "nothing held out" in lines[1]
    assert "valid" not in "\n".join(live(reports, 80)[0].lines)
