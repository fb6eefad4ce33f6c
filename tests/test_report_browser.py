"""The report in a real browser: nothing is fetched, nothing foreign runs, keys and taps work."""

import pytest
from browser import CHROMIUM, Browser
from test_report import hostile, report

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]
__all__ = ["hostile", "report"]  # fixtures
NAME = "document.getElementById('flip-name').textContent"
CLASSES = "[...document.querySelectorAll('#flip-text i')].map(e => e.className).join()"
TOLD = "document.getElementById('told')"
SYMBOL = "[...document.querySelectorAll('#explorer i')].slice(40).find(e => e.innerText == 'a')"
DARK = "getComputedStyle(document.body).backgroundColor"
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
OUTSIDE = """
[...document.querySelectorAll('main *')].filter(e => {
  const box = e.getBoundingClientRect();
  return (box.right > innerWidth + 1 || box.left < -1) && !e.closest('.wide, .text');
}).length
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.fixture
def page(report, hostile):
    return hostile.parent / "page.html"


def test_it_opens_without_a_complaint_or_a_request_and_nothing_foreign_runs(browser, page):
    browser.open(page)
    browser.ask("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert browser.complaints() == []
    assert browser.requests() == [page.as_uri()]
    dialogs = [m for m in browser.told if m.get("method") == "Page.javascriptDialogOpening"]
    assert dialogs == []
    assert browser.ask("document.querySelectorAll('img, main b[onclick]').length") == 0


def test_the_policy_stops_a_script_that_would_get_into_the_page(browser, page):
    browser.open(page)
    browser.ask(
        "(() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1'; "
        "document.body.append(s); })()"
    )
    assert browser.ask("window.ran === undefined")


def test_arrow_keys_go_from_unit_to_unit(browser, page):
    browser.open(page)
    browser.ask("document.querySelector('#flip button[data-unit]').click()")
    browser.ask("document.getElementById('flip').focus()")
    assert browser.ask(NAME) == "c:0:0"
    before = browser.ask(CLASSES)
    browser.press("ArrowRight")
    assert browser.ask(NAME) == "c:0:1"
    assert browser.ask(CLASSES) != before
    browser.press("ArrowLeft")
    browser.press("ArrowLeft")
    assert browser.ask(NAME) == "c:0:0"
    assert browser.ask(CLASSES) == before


def test_arrow_keys_work_without_focus_while_the_units_are_in_view_and_not_elsewhere(browser, page):
    browser.open(page)
    first = browser.ask(NAME)
    browser.press("ArrowRight")
    assert browser.ask(NAME) == first
    browser.middle("document.getElementById('flip-text')")
    changed = f"{NAME} != '{first}'"  # the page is told a few frames later what is in view
    assert browser.until(changed, act=lambda: browser.press("ArrowRight"))


def test_what_is_painted_first_is_what_the_data_say(browser, page):
    browser.open(page)
    painted = browser.ask(CLASSES)
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(page)
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert browser.ask(CLASSES) == painted
    assert browser.ask("document.querySelectorAll('#explorer i').length") > 1000


def test_a_hover_a_tap_and_a_key_show_what_was_expected(browser, page):
    browser.open(page)
    assert browser.ask(f"{TOLD}.hidden")
    assert browser.until(f"!{TOLD}.hidden", act=lambda: browser.point(SYMBOL))
    assert browser.ask(f"{TOLD}.querySelectorAll('li').length") == 6
    first = browser.ask(f"{TOLD}.textContent")
    assert "bits, rank" in first
    assert "%" in first
    browser.ask("document.getElementById('explorer').focus()")
    browser.press("ArrowRight")
    assert browser.until(f"{SYMBOL}.nextSibling.classList.contains('at')")
    browser.press("Escape")
    assert browser.until(f"{TOLD}.hidden")
    browser.call("Emulation.setTouchEmulationEnabled", enabled=True)
    assert browser.until(f"!{TOLD}.hidden", act=lambda: browser.tap(SYMBOL))
    browser.call("Emulation.setTouchEmulationEnabled", enabled=False)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_sticks_out(browser, page, width, theme):
    browser.open(page, width, 900, theme)
    browser.ask("document.querySelectorAll('main details').forEach(d => { d.open = true; })")
    assert browser.ask(OVERFLOW) == 0
    assert browser.ask(OUTSIDE) == 0
    assert browser.ask(
        "[...document.querySelectorAll('button')].every(b => { "
        "const r = b.getBoundingClientRect(); return !r.width || r.height >= 43 })"
    )
    assert browser.ask("document.getElementById('toc').open") == (width == 1280)


def test_colours_follow_the_system_until_they_are_chosen(browser, page):
    browser.open(page, theme="light")
    light = browser.ask(DARK)
    browser.open(page, theme="dark")
    dark = browser.ask(DARK)
    assert light != dark
    press = "document.getElementById('theme').click()"
    seen = []
    for _ in range(3):
        browser.ask(press)
        seen.append(browser.ask(DARK))
    assert seen == [light, dark, dark]  # light, dark, as the system has it


def test_paper_is_white_and_has_no_controls_whatever_the_screen_is(browser, page):
    browser.open(page)
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.call("Emulation.setEmulatedMedia", media="print", features=dark)
    browser.ask("document.documentElement.dataset.theme = 'dark'")
    assert browser.ask(DARK) == "rgb(255, 255, 255)"
    hidden = "getComputedStyle(document.querySelector('{}')).display === 'none'"
    for name in (".toc", ".controls", ".range"):
        assert browser.ask(hidden.format(name)), name
    browser.call("Emulation.setEmulatedMedia", media="")
