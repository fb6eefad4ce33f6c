"""What is seen of a view that takes long."""

import io

from charrnn.display.output import Messages
from charrnn.display.views.waiting import LONG_SECONDS, one_plain_line, waiting


def test_without_a_terminal_a_long_view_says_once_what_it_does():
    stream, now = io.StringIO(), [100.0]
    update = one_plain_line(Messages(stream), lambda: now[0])
    for seconds, done in ((0, 1), (LONG_SECONDS - 0.1, 2), (LONG_SECONDS + 2, 3), (60, 4)):
        now[0] = 100 + seconds
        update("read\x1bing", done, 12)
    assert stream.getvalue() == (
        "charrnn: after 12 s still at work: read\\x1bing, 25% of it done\n"
    )


def test_work_of_unknown_size_is_said_without_a_share():
    stream, now = io.StringIO(), [0.0]
    update = one_plain_line(Messages(stream), lambda: now[0])
    now[0] = 20.0
    update("floors", 0, 0)
    assert stream.getvalue() == "charrnn: after 20 s still at work: floors\n"


def test_without_a_terminal_a_short_view_is_silent(capsys):
    with waiting() as update:
        update("reading", 1, 2)
    assert capsys.readouterr().err == ""
