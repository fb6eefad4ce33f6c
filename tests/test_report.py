"""The report: every view on one page, whatever the text and the model are made of."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import planted
import pytest
from commands import refusal
from typer.testing import CliRunner
from viewing import envelope_schema, json_of

import charrnn
from charrnn.cli.app import app
from charrnn.modeldir import read_model
from charrnn.views import report_makers, report_units
from charrnn.views.memory import Progress
from charrnn.views.report import (
    BUDGETS,
    along,
    json_path,
    make_request,
    measure_report,
    model_name,
)

HOSTILE = (
    "<script>alert(1)</script>\n",
    '</script><!-- "said (he)" -->\n',
    "{{7*7}} {% raw %} \x1b[31m \x00 \u202e\u2028 &amp; &lt;\n",
    "<img src=x onerror=alert(1)> ' \" ` \\u003c ]]>\n",
)
NAME = "<b onclick=alert(1)> {{7*7}} \"'&"
VOID = {"meta", "input", "br", "link", "img"}
KNOWN = """
    html head meta title style body a nav details summary ol ul li b i span button main header p
    h1 h2 h3 dl div dt dd bdi code section strong figure figcaption svg line polyline polygon
    circle rect text table caption thead tbody tr th td article label input script footer
"""


class Page(HTMLParser):
    """The elements of a page as a browser's tokenizer sees them, and its visible text."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.elements, self.scripts, self.styles, self.words, self.stack = [], [], [], [], []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack and self.stack[-1] == "script":
            attrs, text = self.scripts.pop()
            self.scripts.append((attrs, text + data))
        elif self.stack and self.stack[-1] == "style":
            self.styles.append(data)
        else:
            self.words.append(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())


def made(folder, *arguments):
    """Run the command; return the page and the object beside it."""
    page = folder / "page.html"
    words = ["inspect", "report", *map(str, arguments), "--budget", "fast", "-o", str(page)]
    found = CliRunner().invoke(app, words)
    assert found.exit_code == 0, found.output
    assert found.stdout == f"{page}\n"
    return page.read_text(encoding="utf-8"), json.loads((folder / "page.json").read_text())


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A network trained on text that would like to run, in a directory that would too."""
    folder = tmp_path_factory.mktemp("hostile")
    rng = np.random.default_rng(0)
    lines = [HOSTILE[i] for i in rng.integers(len(HOSTILE), size=2200)]
    (folder / "text <i>.txt").write_text("".join(lines), encoding="utf-8")
    sizes = {"hidden_size": 7, "embedding_size": 3, "num_layers": 2}
    run = folder / NAME
    options = {"max_steps": 8, "sample_every": 4, "threads": 1, **sizes}
    list(charrnn.train(folder / "text <i>.txt", output=run, **options))
    return run


@pytest.fixture(scope="module")
def report(hostile):
    return made(hostile.parent, "-m", hostile)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """The report of the planted model, which has a text but nothing of a run."""
    folder = tmp_path_factory.mktemp("bare")
    model = planted.write_planted(folder / "planted")
    (folder / "text").write_text(planted.planted_text(9000))
    return made(folder, folder / "text", "-m", model), model, folder / "text"


@pytest.mark.slow
def test_each_view_is_a_section_with_question_finding_number_and_caveat(report):
    source, numbers = report
    views = [name for name in report_makers.MAKERS if name != "probe"]
    assert [view["view"] for view in numbers["result"]["views"]] == views
    sections = re.findall(r'<section id="(\w+)"(.*?)</section>', source, re.DOTALL)
    assert [name for name, _ in sections] == views
    for name, body in sections:
        assert body.count("<h2") == 1, name
        assert body.count("?</h2>") == 1, name
        for part in ("finding", "number", "caveat"):
            assert body.count(f'class="{part}"') == 1, (name, part)
        assert re.search(r'<svg|class="text', body), name
        assert "nan" not in re.sub(r"<script.*?</script>", "", body, flags=re.DOTALL).split(), name


@pytest.mark.slow
def test_the_file_beside_it_holds_the_envelope_of_each_view(report):
    import jsonschema

    _, numbers = report
    jsonschema.validate(numbers, envelope_schema("report", {"views": {"type": "array"}}))
    for view in numbers["result"]["views"]:
        assert view["why"] is None
        envelope = view["envelope"]
        assert (envelope["view"], envelope["schema"]) == (view["view"], "charrnn.inspect/1")


@pytest.mark.slow
@pytest.mark.parametrize(
    "view", ["curve", "surprisal", "compare", "errors", "calibration", "gates"]
)
def test_the_envelopes_are_those_of_the_commands(report, hostile, view):
    _, numbers = report
    (ours,) = [v["envelope"] for v in numbers["result"]["views"] if v["view"] == view]
    result = {name: {} for name in ours["result"]}
    theirs = json_of([view, "-m", hostile], result)
    assert ours["units"] == theirs["units"]
    assert set(ours["settings"]) == set(theirs["settings"])
    assert ours["result"].keys() == theirs["result"].keys()
    assert ours["model"] == theirs["model"]


@pytest.mark.slow
def test_hostile_text_becomes_no_element_and_no_attribute(report):
    source, _ = report
    page = Page(source)
    assert {tag for tag, _ in page.elements} <= set(KNOWN.split())
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name != "style", tag
            if name in ("href", "src", "action", "xlink:href"):
                assert value.startswith("#"), (tag, name, value)
    assert NAME in page.text
    assert "{{7*7}}" in page.text
    assert "49}" not in page.text
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029]", source)


@pytest.mark.slow
def test_the_policy_allows_our_style_and_script_and_nothing_else(report):
    page = Page(report[0])
    (policy,) = [a["content"] for _, a in page.elements if "http-equiv" in a]
    assert policy.startswith("default-src 'none'; ")
    code = [text for attributes, text in page.scripts if not attributes]
    data = [attributes for attributes, _ in page.scripts if attributes]
    assert len(code) == len(page.styles) == 1
    assert {attributes["type"] for attributes in data} == {"application/json"}
    for kind, text in (("style", page.styles[0]), ("script", code[0])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert "http:" not in report[0]
    assert "https:" not in report[0]


@pytest.mark.slow
def test_data_in_script_elements_cannot_end_them(report):
    page = Page(report[0])
    for attributes, text in page.scripts:
        if attributes:
            assert not set("<>&") & set(text)
            assert text.isascii()
            json.loads(text)


@pytest.mark.slow
def test_the_same_inputs_give_the_same_bytes(report, hostile):
    source, numbers = report
    again = made(hostile.parent, "-m", hostile)
    assert again == (source, numbers)


@pytest.mark.slow
def test_what_cannot_be_made_says_so_and_the_rest_is_there(bare):
    (source, numbers), _, _ = bare
    why = {view["view"]: view["why"] for view in numbers["result"]["views"]}
    assert {name for name, reason in why.items() if reason} == {
        "curve",
        "copying",
        "compare",
        "errors",
    }
    assert source.count('class="missing"') == 4
    assert "give it with --corpus FILE" in why["copying"]
    assert "c:0:" in source


@pytest.mark.slow
def test_without_any_text_the_weights_are_still_looked_at(bare, tmp_path):
    _, model, _ = bare
    source, numbers = made(tmp_path, "-m", model)
    there = {view["view"] for view in numbers["result"]["views"] if view["envelope"]}
    assert there == {"summary", "embed"}
    assert "charrnn inspect report TEXT" in Page(source).text


@pytest.mark.slow
def test_the_units_to_flip_through_are_the_cells_of_the_network(bare):
    (source, _), _, path = bare
    (data,) = [json.loads(t) for a, t in Page(source).scripts if a.get("id") == "flip-data"]
    size, count = data["size"], len(data["units"])
    levels = np.frombuffer(base64.b64decode(data["levels"]), np.int8).reshape(count, size)
    names = [unit[0] for unit in data["units"]]
    assert names == [f"c:0:{unit}" for unit in range(planted.HIDDEN)]
    text = path.read_text()
    shown = re.search(r'id="flip-text"[^>]*>(.*?)</div>', source, re.DOTALL)[1]
    pieces = re.findall(r"<i[^>]*>(.*?)</i>", shown, re.DOTALL)
    assert len(pieces) == size
    excerpt = "".join(p.replace("⏎", "").replace("&#34;", '"') for p in pieces)
    start = text.index(excerpt)
    latch = planted.planted_cells(text)[2][start : start + size]
    assert np.abs(levels[planted.LATCH] / data["full"] - np.tanh(0.9 * latch)).max() < 0.01


def test_a_large_network_has_room_for_fewer_tokens_and_units(bare_request, monkeypatch):
    monkeypatch.setattr(report_units, "NUMBERS", 6 * report_units.LEAST)
    steps = report_units.make_units(bare_request, {})
    try:
        while True:
            next(steps)
    except StopIteration as stop:
        units = stop.value.found
    assert units.levels.shape == (6, report_units.LEAST)
    assert units.left_out == planted.HIDDEN - 6


@pytest.fixture
def bare_request(tmp_path):
    (tmp_path / "text").write_text(planted.planted_text(700))
    stored = read_model(planted.write_planted(tmp_path / "planted"))
    return make_request(stored, [str(tmp_path / "text")], BUDGETS["fast"])


@pytest.mark.slow
def test_progress_rises_to_the_end(bare_request):
    steps = [(step.done, step.total) for step in measure_report(bare_request, "fast")]
    assert all(done <= after for (done, _), (after, _) in pairwise(steps))
    assert steps[-1][0] == steps[-1][1]


def test_the_share_of_a_view_that_is_done_never_falls():
    def steps():
        for what, done in (("a", 1), ("a", 4), ("b", 0), ("b", 2)):
            yield Progress(what, done, 4)
        return "made"

    for phases, shares in ((1, [0.25, 1.0, 1.0, 1.0]), (2, [0.125, 0.5, 0.5, 0.75])):
        assert [share for _, share in along(steps(), phases)] == shares


def test_a_page_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    model = planted.write_planted(tmp_path / "planted")
    code, message = refusal("inspect", "report", "-m", model, "-o", tmp_path / "no" / "page.html")
    assert (code, message) == (2, f"{tmp_path / 'no'} is not there: needs a directory")
    code, message = refusal("inspect", "report", "-m", model, "-o", tmp_path)
    assert (code, message) == (2, f"{tmp_path} is a directory: needs a file")


def test_a_text_that_is_given_must_be_there(tmp_path):
    model = planted.write_planted(tmp_path / "planted")
    code, _ = refusal("inspect", "report", "nowhere", "-m", model, "-o", tmp_path / "page.html")
    assert code == 2
    assert not (tmp_path / "page.html").exists()


def test_the_numbers_go_beside_the_page_and_never_over_it(tmp_path):
    assert json_path(tmp_path / "a.b.html") == tmp_path / "a.b.json"
    assert json_path(tmp_path / "a.json") == tmp_path / "a.json.json"
    assert model_name(read_model(planted.write_planted(tmp_path / "planted"))) == "planted"
