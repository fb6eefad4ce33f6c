"""Every file call of a report fails in its turn, or kills: the page is the old or the new one."""

import pytest
from faults import Fault, check_said, fresh_case, litter
from test_faults import KINDS, SAMPLES, applies

OLD = "an old page\n"
PAGES = ("page.json", "page.html")


@pytest.fixture(scope="session")
def report(server, whole, corpus, cases):
    """The arguments of a report whose numbers are known, what it writes, and its file calls."""
    case = fresh_case(cases, "report")
    arguments = ["inspect", "report", "-m", whole, "--budget", "fast", "-o"]
    page = case / "page.html"
    server.run(case, *arguments, page, here=True)
    pages = {name: (case / name).read_text() for name in PAGES}
    for name in PAGES:
        (case / name).write_text(OLD)
    return [*arguments, "page.html"], pages, server.count


def prepare(cases, is_new):
    case = fresh_case(cases, "report")
    if not is_new:
        for name in PAGES:
            (case / name).write_text(OLD)
    return case


def check(server, cases, report, fault, is_new, tally):
    arguments, pages, _ = report
    case = prepare(cases, is_new)
    ended = server.run(case, *arguments, fault=fault)
    assert ended.hits, (fault, ended)
    tally["injected"] += 1
    tally[{0: "harmless", 1: "reported", -9: "killed"}[ended.code]] += 1
    if ended.code == 0:
        assert ended.stdout == "page.html\n"
    else:
        check_said(ended, fault)
    for name in PAGES:
        path = case / name
        text = path.read_text() if path.exists() else None
        assert text in ((None if is_new else OLD), pages[name])
    again = server.run(case, *arguments)
    assert (again.code, again.stdout, again.stderr) == (0, "page.html\n", "")
    assert {name: (case / name).read_text() for name in PAGES} == pages
    assert litter(case) == []


def calls_of(server, cases, report, is_new):
    return server.run(prepare(cases, is_new), *report[0]).calls


@pytest.mark.slow
@pytest.mark.parametrize("is_new", [pytest.param(True, marks=pytest.mark.torture), False])
def test_after_any_of_a_sample_of_faults_a_page_is_whole(server, cases, report, is_new, tally):
    calls = calls_of(server, cases, report, is_new)
    for number in range(SAMPLES):
        kind, sticky = KINDS[5 * (number + 6 * is_new) % len(KINDS)]
        fitting = [at for at, call in enumerate(calls, 1) if applies(kind, call)]
        fault = Fault(fitting[5 * number % len(fitting)], kind, sticky)
        check(server, cases, report, fault, is_new, tally)


@pytest.mark.torture
@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize(("kind", "sticky"), KINDS)
def test_after_every_fault_a_page_is_whole(server, cases, report, is_new, kind, sticky, tally):
    for at, call in enumerate(calls_of(server, cases, report, is_new), 1):
        if applies(kind, call):
            check(server, cases, report, Fault(at, kind, sticky), is_new, tally)
