"""A draft gives whole characters, holds back what may be a stop, and ends where it should."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.config import SampleConfig
from charrnn.draft import Assignment, Draft
from charrnn.tokenizer import Tokenizer
from charrnn.tokenizer_json import byte_alphabet

CHARS = Tokenizer("char", ("<s>", "</s>", *"abcde"))
BYTES = Tokenizer("byte", tuple(byte_alphabet()))
WORDS = Tokenizer("word", ("<unk>", "the", "cat", " ", "\n", "."))
BARE = Tokenizer("word", ("<unk>", "<eos>", "the", "cat"), pretokenized=True)
END = 1


def grow(tokenizer, ids, stops=(), prompt="", **options):
    """Return the pieces that came with each token, and the report of the draft."""
    options = {"length": 0, **options}
    draft = Draft(Assignment(tokenizer, SampleConfig(**options), 5, prompt, tuple(stops)), 3)
    pieces = [draft.take()] if prompt else []
    for token in ids:
        draft.add(token, -0.5)
        pieces.append(draft.take())
        if draft.finish_reason:
            return pieces, draft.report()
    return pieces, None


def ids(text):
    return [CHARS.index[char] for char in text]


def test_a_draft_ends_with_its_length():
    pieces, done = grow(CHARS, ids("abcde"), length=3)
    assert pieces == ["a", "b", "c"]
    assert (done.text, done.finish_reason, done.tokens, done.logprob) == ("abc", "length", 3, -1.5)
    assert (done.index, done.seed, done.prompt) == (3, 5, "")


def test_the_end_symbol_ends_it_and_is_not_text():
    pieces, done = grow(CHARS, [*ids("ab"), END])
    assert pieces == ["a", "b", ""]
    assert (done.text, done.finish_reason, done.tokens) == ("ab", "end", 3)


def test_a_stop_ends_it_and_is_not_text():
    pieces, done = grow(CHARS, ids("abcde"), ["cd"])
    assert pieces == ["a", "b", "", ""]
    assert (done.text, done.finish_reason, done.tokens) == ("ab", "stop", 4)


def test_half_a_stop_at_the_end_is_text():
    assert grow(CHARS, ids("abc"), ["cd"], length=3)[0] == ["a", "b", "c"]
    assert grow(CHARS, [*ids("abc"), END], ["cd"])[0] == ["a", "b", "", "c"]


def test_a_stop_may_begin_after_the_least_length_only():
    _, done = grow(CHARS, ids("abcabcabc"), ["ab"], min_length=3)
    assert (done.text, done.tokens) == ("abc", 5)
    _, done = grow(CHARS, ids("abcabcabc"), ["ab"], min_length=4)
    assert (done.text, done.tokens) == ("abcabc", 8)


def test_a_draft_is_too_short_till_it_has_the_least_length():
    draft = Draft(Assignment(CHARS, SampleConfig(min_length=2), 0), 0)
    seen = [draft.too_short]
    for token in ids("abc"):
        draft.add(token, 0.0)
        seen.append(draft.too_short)
    assert seen == [True, True, False, False]
    assert not Draft(Assignment(CHARS, SampleConfig(), 0), 0).too_short


def test_blanks_between_words_do_not_count():
    draft = Draft(Assignment(WORDS, SampleConfig(min_length=3), 0), 0)
    for token in (1, 3, 2, 4, 3):
        draft.add(token, 0.0)
    assert draft.too_short
    draft.add(5, 0.0)
    assert not draft.too_short


def test_blanks_among_characters_count():
    draft = Draft(Assignment(Tokenizer("char", ("\n", " ")), SampleConfig(min_length=2), 0), 0)
    draft.add(0, 0.0)
    draft.add(1, 0.0)
    assert not draft.too_short


@pytest.mark.parametrize(("prompt", "blank"), [("", ""), ("the", " "), ("the\n", ""), ("a ", "")])
def test_bare_words_are_parted_from_the_prompt(prompt, blank):
    _, done = grow(BARE, [3, 1, 2], prompt=prompt, length=3)
    assert done.text == blank + "cat \nthe "


def test_a_text_that_is_not_to_be_kept_is_not():
    assignment = Assignment(CHARS, SampleConfig(length=2), 0, keep_text=False)
    draft = Draft(assignment, 0)
    for token in ids("ab"):
        draft.add(token, 0.0)
    assert draft.take() == "ab"
    assert draft.report().text == ""


def test_bytes_wait_until_they_make_a_character():
    pieces, done = grow(BYTES, "aé€".encode(), length=6)
    assert pieces == ["a", "", "é", "", "", "€"]
    assert done.tokens == 6


def test_half_a_character_at_the_end_is_replaced():
    pieces, _ = grow(BYTES, "a€".encode()[:3], length=3)
    assert pieces == ["a", "", "\ufffd"]


def test_half_a_character_may_complete_a_stop():
    _, done = grow(BYTES, "ab€".encode()[:4], ["b\ufffd"], length=4)
    assert (done.text, done.finish_reason) == ("a", "stop")


@given(st.binary(min_size=1, max_size=12))
def test_bytes_read_as_python_reads_them(data):
    _, done = grow(BYTES, data, length=len(data))
    assert done.text == data.decode("utf-8", "replace")


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=6))
def test_a_stop_of_many_bytes_is_found(text):
    _, done = grow(BYTES, f"x{text}y".encode(), [f"{text}y"])
    assert (done.text, done.finish_reason) == ("x", "stop")


@given(
    tokens=st.lists(st.sampled_from(ids("abcde")), min_size=1, max_size=40),
    sizes=st.lists(st.integers(1, 7), min_size=40, max_size=40),
    options=st.sampled_from([{}, {"length": 13}, {"min_length": 5}]),
    stops=st.sampled_from([(), ("cd",)]),
    is_ended=st.booleans(),
)
def test_several_tokens_at_once_are_each_of_them(tokens, sizes, options, stops, is_ended):
    tokens = [*tokens, END] if is_ended else tokens
    assignment = Assignment(CHARS, SampleConfig(**{"length": 0, **options}), 0, "", stops)
    one, several = Draft(assignment, 0), Draft(assignment, 0)
    start, logprobs = 0, [-0.1 * place for place in range(len(tokens))]
    for size in sizes:
        size = 1 if several.is_watched else min(size, several.num_left)
        end = min(start + size, len(tokens))
        if start == end or several.finish_reason:
            break
        several.extend(tokens[start:end], logprobs[start:end])
        for place in range(start, end):
            one.add(tokens[place], logprobs[place])
        assert several.take() == one.take()
        assert (several.num_left, several.too_short) == (one.num_left, one.too_short)
        start = end
    assert several.finish_reason == one.finish_reason
    if one.finish_reason:
        assert several.report() == one.report()


def test_bytes_of_one_character_may_come_at_once():
    draft = Draft(Assignment(BYTES, SampleConfig(length=0), 0), 0)
    drawn = BYTES.encode("né€").tolist()
    draft.extend(drawn[:4], [-1.0] * 4)
    assert draft.take() == "né"
    draft.extend(drawn[4:], [-1.0] * 2)
    assert draft.take() == "€"
    assert draft.num_left == float("inf")


@pytest.mark.parametrize(
    ("options", "stops", "wanted"),
    [({}, (), False), ({"min_length": 2}, (), True), ({}, ("a",), True)],
)
def test_a_draft_is_watched_where_a_token_may_change_how_it_goes_on(options, stops, wanted):
    draft = Draft(Assignment(CHARS, SampleConfig(**options), 0, "", stops), 0)
    assert draft.is_watched is wanted
    draft.extend(ids("b"), [0.0])
    draft.extend(ids("c"), [0.0])
    assert draft.is_watched is bool(stops)
    if stops:
        with pytest.raises(AssertionError):
            draft.extend(ids("de"), [0.0, 0.0])


@given(
    tokens=st.lists(st.sampled_from([END, *ids("abcde")]), min_size=1, max_size=40),
    size=st.integers(1, 9),
    options=st.sampled_from([{}, {"length": 13}, {"min_length": 5}]),
    stops=st.sampled_from([(), ("cd",)]),
)
def test_what_comes_behind_the_end_is_left(tokens, size, options, stops):
    assignment = Assignment(CHARS, SampleConfig(**{"length": 0, **options}), 0, "", stops)
    one, several = Draft(assignment, 0), Draft(assignment, 0)
    for start in range(0, len(tokens), size):
        block = tokens[start : start + size]
        several.extend_to_end(block, [-0.1] * len(block))
        for token in block:
            if one.finish_reason is None:
                one.add(token, -0.1)
        assert several.take() == one.take()
        assert several.finish_reason == one.finish_reason
    if one.finish_reason:
        assert several.report() == one.report()
