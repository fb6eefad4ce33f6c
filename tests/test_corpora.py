"""Facts about the texts in corpora/ which are committed."""

import re
import unicodedata
from pathlib import Path

import pytest

CORPORA = Path(__file__).parents[1] / "corpora"
OURS = ("lighthouse.txt", "notes.tex", "greek.txt", "words.txt", "hello.txt")


def read(name: str) -> str:
    """Return a committed text, its newlines untouched."""
    return (CORPORA / name).read_bytes().decode("utf-8")


@pytest.mark.parametrize("name", ["lighthouse.txt", "notes.tex"])
def test_the_prose_and_the_latex_are_large_enough_for_a_first_run(name):
    assert len(read(name).encode("utf-8")) >= 50 * 1024


@pytest.mark.parametrize("name", OURS)
def test_our_texts_are_normalised_lines_without_stray_blanks(name):
    text = read(name)
    assert unicodedata.is_normalized("NFC", text)
    assert not re.search(r"[ \t]\n|[\t\r\ufeff]", text)
    assert text.endswith("\n") != (name == "hello.txt")


@pytest.mark.parametrize("name", ["lighthouse.txt", "greek.txt"])
def test_no_long_paragraph_of_a_story_is_repeated(name):
    paragraphs = [part for part in read(name).split("\n\n") if len(part) > 30]
    assert len(set(paragraphs)) == len(paragraphs) > 30


def test_the_story_quotes_and_brackets_in_pairs():
    for paragraph in read("lighthouse.txt").split("\n\n"):
        quotes = paragraph.count('"')
        goes_on = paragraph.lstrip().startswith('"')  # a speech may go on in the next paragraph
        assert quotes % 2 == 0 or goes_on, paragraph
        assert paragraph.count("(") == paragraph.count(")"), paragraph
    assert read("lighthouse.txt").count('"') > 400


def test_every_latex_environment_is_closed_in_order():
    open_names: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{([^}]*)\}", read("notes.tex")):
        if kind == "begin":
            open_names.append(name)
        else:
            assert open_names.pop() == name
    assert open_names == []


def test_latex_braces_are_balanced_and_nest_four_deep():
    depth, deepest = 0, 0
    for char in re.sub(r"\\[\\{}]", "", read("notes.tex")):
        depth += (char == "{") - (char == "}")
        deepest = max(deepest, depth)
        assert depth >= 0
    assert depth == 0
    assert deepest >= 4


def test_latex_formulas_are_closed_and_references_have_labels():
    text = read("notes.tex")
    assert all(part.replace(r"\$", "").count("$") % 2 == 0 for part in text.split("\n\n"))
    assert len(re.findall(r"\\left\b", text)) == len(re.findall(r"\\right\b", text))
    labels = re.findall(r"\\label\{([^}]*)\}", text)
    assert len(set(labels)) == len(labels)
    assert set(re.findall(r"ref\{([^}]*)\}", text)) <= set(labels)


def test_the_word_list_is_sorted_lower_case_and_without_repeats():
    words = read("words.txt").removesuffix("\n").split("\n")
    assert words == sorted(set(words))
    assert 300 <= len(words) <= 500
    assert all(re.fullmatch("[a-z]+", word) for word in words)


@pytest.mark.parametrize(
    ("prefix", "word"),
    [
        ("hell", "hello"),
        ("morni", "morning"),
        ("langua", "language"),
        ("neur", "neural"),
        ("netw", "network"),
    ],
)
def test_one_word_of_the_list_begins_with_the_prefix(prefix, word):
    words = read("words.txt").removesuffix("\n").split("\n")
    assert [other for other in words if other.startswith(prefix)] == [word]


def test_hello_is_five_bytes():
    assert (CORPORA / "hello.txt").read_bytes() == b"hello"


def test_the_greek_text_is_greek():
    text = read("greek.txt")
    assert len(text.encode("utf-8")) >= 15_000
    assert {unicodedata.name(char).split()[0] for char in text if char.isalpha()} == {"GREEK"}


def test_the_readme_names_every_committed_text():
    assert all(f"`{name}`" in read("README.md") for name in OURS)
