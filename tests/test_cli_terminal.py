"""What a person sees and types: prompts, Ctrl-C, and a training on a real terminal."""

import re
import signal
import time

import pytest
from commands import charrnn
from terminals import charrnn as on_terminal
from terminals import fake_training
from test_cli_sample import planted

CTRL_C, CTRL_D, CTRL_Z, UP, LEFT = "\x03", "\x04", "\x1a", "\x1b[A", "\x1b[D"


@pytest.fixture
def model(tmp_path):
    return planted(tmp_path / "m", ("\n", "a", "b", "c"), "a")


def test_lines_of_a_pipe_are_answered_one_by_one(model):
    process = charrnn("sample", "-i", "-m", model, "-l", "3", stdin=b"b\nc\n\nb\n")
    assert (process.returncode, process.stdout, process.stderr) == (0, b"baaa\ncaaa\n", b"")


def test_the_end_of_the_input_ends_it(model):
    process = charrnn("sample", "-i", "-m", model, "-l", "3", "--no-echo", stdin=b"b\nc")
    assert (process.returncode, process.stdout) == (0, b"aaa\naaa\n")


def test_a_prompt_that_cannot_be_read_is_told_and_the_next_is_answered(model):
    process = charrnn("sample", "-i", "-m", model, "-l", "3", stdin=b"x\nb\n")
    assert (process.returncode, process.stdout) == (0, b"baaa\n")
    assert process.stderr.startswith(b"charrnn: error: ")
    assert process.stderr.count(b"\n") == 1


def test_each_line_has_a_seed_of_its_own(tmp_path):
    model = planted(tmp_path / "m", ("\n", "a", "b", "c"))
    process = charrnn("sample", "-i", "-m", model, "-l", "40", "--no-echo", stdin=b"a\na\n")
    first, rest = process.stdout[:40], process.stdout[40:]
    second = rest.removeprefix(b"\n" if first[-1:] != b"\n" else b"")[:40]
    assert len(first) == len(second) == 40
    assert first != second


def test_a_line_can_be_edited_and_called_back(model):
    terminal = on_terminal("sample", "-i", "-m", model, "-l", "3")
    terminal.read_until("> ")
    terminal.type(f"c{LEFT}b\r")
    terminal.read_until("bcaaa\r\n> ")
    terminal.type(f"{UP}\r")
    terminal.read_until("bcaaa\r\n> bc\r\nbcaaa\r\n> ")
    terminal.type(CTRL_D)
    assert terminal.end()[0] == 0
    assert terminal.after == terminal.modes


@pytest.mark.slow
@pytest.mark.parametrize("redirected", [False, True])
def test_ctrl_d_leaves_the_shell_a_line_of_its_own(model, tmp_path, redirected):
    with (tmp_path / "text").open("wb") as file:
        streams = {"stdout": file} if redirected else {}
        terminal = on_terminal("sample", "-i", "-m", model, "-l", "3", **streams)
        terminal.read_until("> ")
        time.sleep(0.2)
        terminal.type(CTRL_D)
        code, shown = terminal.end()
    assert code == 0
    assert re.fullmatch(r"(\x1b\[\?2004.)*> ?(\r|\x1b\[\?2004.)*\r?\n(\x1b\[\?2004.)*", shown)
    assert (tmp_path / "text").read_bytes() == b""


@pytest.mark.slow
def test_prompts_do_not_mix_with_redirected_text(model, tmp_path):
    with (tmp_path / "text").open("wb") as file:
        terminal = on_terminal("sample", "-i", "-m", model, "-l", "3", stdout=file)
        terminal.read_until("> ")
        terminal.type("b\n")
        terminal.read_until("> b\r\n> ")
        terminal.type("\n")
        assert terminal.end()[0] == 0
    assert (tmp_path / "text").read_bytes() == b"baaa\n"


@pytest.mark.slow
def test_ctrl_c_stops_the_text_and_at_the_prompt_ends(model):
    terminal = on_terminal("sample", "-i", "-m", model, "-l", "0")
    terminal.read_until("> ")
    terminal.type("b\r")
    terminal.read_until("baaaaa")
    terminal.type(CTRL_C)
    terminal.read_until("\r\n> ")
    time.sleep(0.5)  # the prompt is shown a moment before it is read from
    terminal.type(CTRL_C)
    assert terminal.end()[0] == -signal.SIGINT
    assert terminal.after == terminal.modes


@pytest.mark.slow
def test_a_terminated_prompt_leaves_the_terminal_as_it_was(model):
    terminal = on_terminal("sample", "-i", "-m", model)
    terminal.read_until("> ")
    time.sleep(0.1)
    terminal.process.terminate()
    assert terminal.end()[0] == -signal.SIGTERM
    assert terminal.after == terminal.modes


@pytest.mark.slow
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_training_is_shown_live_and_leaves_the_terminal_as_it_was(tmp_path, columns):
    terminal = fake_training(cwd=tmp_path, columns=columns)
    code, shown = terminal.end()
    assert code == 0
    assert "\x1b[?25l" not in shown
    assert "ETA" in shown
    assert "\\x1b[31mTo be" in shown
    assert shown.split("\r\n")[-2].endswith("charrnn sample -m runs/play\x1b[0m")
    assert terminal.after == terminal.modes


@pytest.mark.slow
def test_no_color_is_respected(tmp_path):
    _, shown = fake_training("--color", "never", cwd=tmp_path).end()
    assert "\x1b[2m" not in shown
    assert "ETA" in shown


@pytest.mark.slow
def test_json_on_the_terminal_goes_without_the_live_display(tmp_path):
    _, shown = fake_training("--json", cwd=tmp_path).end()
    assert "\x1b[J" not in shown
    assert '{"event": "log", "step": 1,' in shown


@pytest.mark.slow
def test_ctrl_c_on_a_terminal_tells_how_to_go_on(tmp_path, monkeypatch):
    monkeypatch.setenv("STEPS", "3000")
    terminal = fake_training(cwd=tmp_path)
    terminal.read_until("ETA")
    terminal.type(CTRL_C)
    code, shown = terminal.end()
    assert code == -signal.SIGINT
    assert shown.endswith("to go on: charrnn train --resume -o runs/play\r\n")


@pytest.mark.slow
def test_after_ctrl_z_the_display_goes_on_below(tmp_path, monkeypatch):
    monkeypatch.setenv("STEPS", "100")
    terminal = fake_training(cwd=tmp_path)
    terminal.read_until("ETA")
    terminal.process.send_signal(signal.SIGSTOP)
    time.sleep(0.3)
    terminal._read()
    before = len(terminal.seen)
    terminal.process.send_signal(signal.SIGCONT)
    code, shown = terminal.end()
    assert code == 0
    later = shown[before:]
    assert not later.startswith("\x1b[")
    assert "best loss" in later
