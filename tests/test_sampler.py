"""Samples are what a slow loop over the whole prefix draws, in order, whatever is drawn beside."""

import itertools
import subprocess
import sys
import threading
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import reference
from drawn import NAMES, SEED, STREAM, draw_all, make_model, plain_draw

from charrnn import growing, int8, sampler, torch_backend
from charrnn.config import SampleConfig
from charrnn.draft import Done, Piece
from charrnn.errors import ConfigError, DeviceError, TokenizerError
from charrnn.growing import TOGETHER
from charrnn.sampler import opening, sample
from charrnn.stepper import NumpyBackend, Stepper
from charrnn.tokenizer import Tokenizer
from charrnn.tokenizer_json import byte_alphabet


@pytest.mark.parametrize("temperature", [1.0, 0.6])
@pytest.mark.parametrize("cell", ["lstm", "peephole", "gru", "rnn"])
def test_a_sample_is_what_a_slow_loop_over_the_prefix_draws(cell, temperature):
    model = make_model(STREAM, cell)
    (done,) = draw_all(model, prompt="ab", temperature=temperature)
    wanted, logprob = plain_draw(model, STREAM.encode("ab"), 30, temperature=temperature)
    assert done.text == STREAM.decode(wanted)
    assert done.logprob == pytest.approx(logprob, abs=1e-4)
    assert (done.tokens, done.finish_reason, done.prompt) == (30, "length", "ab")


def test_argmax_takes_the_likeliest_after_the_whole_prefix():
    model = make_model(STREAM)
    (done,) = draw_all(model, prompt="bad", temperature=0)
    ids = STREAM.encode("bad").tolist()
    for _ in range(30):
        logits, _ = reference.run("lstm", ids, model.weights, 2)
        ids.append(int(logits[-1].argmax()))
    assert done.text == STREAM.decode(ids[3:])


def test_each_of_many_samples_draws_from_its_own_numbers(monkeypatch):
    monkeypatch.setattr(sampler.NumpyBackend, "group_size", 3)
    model = make_model(STREAM)
    dones = draw_all(model, 5, prompt="c")
    for done in dones:
        wanted, logprob = plain_draw(model, STREAM.encode("c"), 30, done.index)
        assert done.text == STREAM.decode(wanted)
        assert done.logprob == pytest.approx(logprob, abs=1e-4)
    assert len({done.text for done in dones}) == 5


def test_the_same_seed_gives_the_same_text_and_another_one_another():
    model = make_model(STREAM)
    assert draw_all(model, 3, seed=5) == draw_all(model, 3, seed=5)
    assert draw_all(model, seed=5)[0].text != draw_all(model, seed=6)[0].text


def test_documents_begin_with_the_start_symbol_and_end_with_the_end(monkeypatch):
    monkeypatch.setattr(sampler.NumpyBackend, "group_size", 8)
    model = make_model(NAMES)
    dones = draw_all(model, 20, prompt="a", length=12)
    assert {done.finish_reason for done in dones} == {"length", "end"}
    for done in dones:
        wanted, logprob = plain_draw(model, [0, *NAMES.encode("a")], 12, done.index)
        assert done.text == NAMES.decode(wanted)
        assert done.tokens == len(wanted)
        assert (done.finish_reason == "end") == (wanted[-1] == 1)
        assert done.logprob == pytest.approx(logprob, abs=1e-4)


@pytest.mark.slow
def test_documents_without_a_prompt_begin_with_the_start_symbol_alone():
    model = make_model(NAMES)
    for done in draw_all(model, 3, length=0):
        assert done.text == NAMES.decode(plain_draw(model, [0], 500, done.index)[0])
        assert done.finish_reason == "end"


@pytest.mark.parametrize("num_samples", [1, 7])
def test_a_least_length_is_kept(num_samples):
    model = make_model(NAMES)
    short = next(n for n in range(40) if len(draw_all(model, seed=n, length=40)[0].text) < 9)
    dones = draw_all(model, num_samples, seed=short, length=40, min_length=9)
    assert min(len(done.text) for done in dones) >= 9


def test_stops_cut_each_sample_for_itself():
    model = make_model(STREAM)
    free = draw_all(model, 6)
    for done, whole in zip(draw_all(model, 6, stops=["c", "ga"]), free, strict=True):
        ends = [whole.text.find(stop) + len(stop) for stop in ("c", "ga") if stop in whole.text]
        if ends:
            cut = whole.text[: min(ends)]
            assert done.text == cut.removesuffix("c").removesuffix("ga")
            assert (done.finish_reason, done.tokens) == ("stop", min(ends))
        else:
            assert done.text == whole.text
    assert {done.finish_reason for done in draw_all(model, 6, stops=["c", "ga"])} >= {"stop"}


def test_without_a_prompt_the_network_first_reads_a_newline():
    model = make_model(STREAM)
    assert draw_all(model)[0].text == STREAM.decode(plain_draw(model, [0], 30)[0])


def test_without_a_newline_it_reads_what_its_corpus_began_with():
    letters = Tokenizer("char", tuple("abcdefgh"))
    model = replace(make_model(letters), start_id=5)
    assert draw_all(model)[0].text == letters.decode(plain_draw(model, [5], 30)[0])


@pytest.mark.parametrize(
    ("tokenizer", "start_id", "tokens"),
    [
        (Tokenizer("char", tuple("abc\n")), 1, [3]),
        (Tokenizer("byte", tuple(byte_alphabet())), None, [10]),
        (Tokenizer("word", ("<unk>", "a", "\n")), None, [2]),
        (Tokenizer("word", ("<unk>", "a", "<eos>"), pretokenized=True), None, [2]),
        (Tokenizer("word", ("<unk>", "a", "b")), None, [1]),
        (Tokenizer("char", tuple("helo")), None, [0]),
        (Tokenizer("char", tuple("helo")), 2, [2]),
        (Tokenizer("char", ("<s>", "</s>", "\n", "a")), 3, [0]),
    ],
)
def test_what_is_read_first_without_a_prompt(tokenizer, start_id, tokens):
    assert opening(tokenizer, "", "error", start_id) == (tokens, [])


def test_the_prompt_is_read_behind_the_start_of_a_document_only():
    assert opening(STREAM, "ab", "error", None) == ([2, 3], [2, 3])
    assert opening(NAMES, "ab", "error", None) == ([0, 4, 5], [4, 5])


def test_an_unknown_character_of_the_prompt_is_an_error_or_skipped():
    model = make_model(STREAM)
    with pytest.raises(TokenizerError, match=r"U\+0078"):
        sample(model, prompt="axb")
    found = [event.text for event in sample(model, prompt="axb", on_unknown="skip", seed=1)]
    assert found == [event.text for event in sample(model, prompt="ab", seed=1)]
    assert opening(STREAM, "xyz", "skip", None) == ([0], [])


@pytest.mark.parametrize(
    ("options", "word"), [({"num_samples": 0}, "0"), ({"stops": [""]}, "empty")]
)
def test_what_makes_no_sense_is_an_error_at_once(options, word):
    with pytest.raises(ConfigError, match=word):
        sample(make_model(STREAM), **options)


def test_the_defaults_are_those_of_the_model():
    events = list(sample(make_model(STREAM), seed=3))
    assert events[-1].tokens == 30


def test_the_penalty_sees_the_prompt():
    model = make_model(STREAM, scale=0.2)
    (done,) = draw_all(model, prompt="abcdef", length=1, temperature=0, repetition_penalty=1000)
    assert done.text in "g\n "


def test_a_stream_without_end_comes_token_by_token_and_needs_no_memory():
    config = SampleConfig(length=0)
    stream = sample(make_model(STREAM), config, num_samples=3, seed=2, keep_text=False)
    first = list(itertools.islice(stream, 2000))
    assert {type(event) for event in first} == {Piece}
    assert {event.index for event in first} == {0}
    del first
    tracemalloc.start()
    for _ in itertools.islice(stream, 2000):
        pass
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 20_000


def test_finished_samples_leave_the_batch(monkeypatch):
    sizes = []
    step = sampler.Stepper.step
    monkeypatch.setattr(
        sampler.Stepper, "step", lambda self, t: (sizes.append(self.batch_size), step(self, t))[1]
    )
    draw_all(make_model(NAMES), 16, length=0)
    assert sizes[0] == 1  # the prompt
    assert sizes[1] == 16
    assert sizes[1:] == sorted(sizes[1:], reverse=True)
    assert sizes[-1] < 8


def test_the_penalty_of_a_sample_does_not_depend_on_who_left_the_batch(monkeypatch):
    model = make_model(NAMES)
    options = {"length": 0, "repetition_penalty": 1.5, "temperature": 1.5}
    together = draw_all(model, 9, **options)
    monkeypatch.setattr(sampler.NumpyBackend, "group_size", 1)
    alone = draw_all(model, 9, **options)
    assert [done.text for done in together] == [done.text for done in alone]


@pytest.mark.parametrize("tokenizer", [STREAM, NAMES])
def test_groups_on_threads_draw_the_same(tokenizer, monkeypatch):
    model = make_model(tokenizer)
    monkeypatch.setattr(sampler.NumpyBackend, "group_size", 3)
    wanted = draw_all(model, 11)
    monkeypatch.setattr(sampler, "SLOW_WORK", 0)
    monkeypatch.setattr(sampler, "_has_matrix_units", lambda is_bounded: False)
    monkeypatch.setattr(sampler, "num_usable_cores", lambda: 3)
    started = []
    begin = threading.Thread.start
    monkeypatch.setattr(
        threading.Thread, "start", lambda self: (started.append(self), begin(self))[1]
    )
    assert draw_all(model, 11) == wanted
    assert len(started) == 4  # of 3, 3, 3 and 2 samples


def test_much_work_is_divided_among_the_cores():
    def sizes(num_samples, at_once):
        groups = sampler.Many(NumpyBackend(), at_once, 64).groups(num_samples)
        return [len(indexes) for indexes in groups]

    assert sizes(200, 1) == [64, 64, 64, 8]
    assert sizes(100, 2) == [50, 50]
    assert sizes(40, 4) == [32, 8]
    assert sizes(300, 2) == [64, 64, 64, 64, 44]


def test_another_backend_draws_the_same():
    from charrnn.torch_backend import TorchBackend

    model = make_model(NAMES)
    wanted = draw_all(model, 5)
    with pytest.MonkeyPatch.context() as patch:
        backend = TorchBackend("cpu")
        patch.setattr(sampler, "choose_backends", lambda *asked: (backend, backend))
        found = draw_all(model, 5)
    assert [done.text for done in found] == [done.text for done in wanted]


def test_much_work_is_done_by_matrix_units_where_there_are_any(monkeypatch):
    def names(device, work):
        return [type(backend).__name__ for backend in sampler.choose_backends(device, work, True)]

    monkeypatch.setattr(sampler, "SLOW_WORK", 1)
    monkeypatch.setattr(sampler, "_has_matrix_units", lambda is_bounded: False)
    assert names("auto", 2) == ["NumpyBackend", "NumpyBackend"]
    monkeypatch.setattr(sampler, "_has_matrix_units", lambda is_bounded: True)
    assert names("cpu", 0) == ["NumpyBackend", "NumpyBackend"]
    monkeypatch.setattr(torch_backend, "for_batches", lambda: torch_backend.Bfloat16Backend())
    assert names("auto", 2) == ["NumpyBackend", "Bfloat16Backend"]
    works = []
    choose = sampler.choose_backends
    monkeypatch.setattr(
        sampler,
        "choose_backends",
        lambda device, work, bounded: (works.append(work), choose(device, work, bounded))[1],
    )
    draw_all(make_model(NAMES))
    assert works == [0]  # a single sample is never worth torch
    dones = draw_all(make_model(NAMES), 9, length=20)
    assert {done.finish_reason for done in dones} == {"length", "end"}


@pytest.mark.parametrize(
    ("flags", "bounded", "unbounded"),
    [
        (b"flags : fpu avx512f avx512_bf16 avx512_vnni amx_tile\n", True, True),
        (b"flags : fpu avx512f avx512_vnni\n", True, False),
        (b"flags : fpu avx2 avx_vnni\n", False, False),
        (b"flags : fpu avx512f\n", False, False),
        (None, False, False),
    ],
)
def test_matrix_units_are_among_the_flags_of_the_cpu(flags, bounded, unbounded, monkeypatch):
    def read(path):
        assert str(path) == "/proc/cpuinfo"
        if flags is None:
            raise FileNotFoundError
        return flags

    monkeypatch.setattr(sampler.Path, "read_bytes", read)
    assert [sampler._has_matrix_units(is_bounded) for is_bounded in (True, False)] == [
        bounded,
        unbounded,
    ]


def test_much_work_is_done_on_a_gpu_that_is_there_unless_the_cpu_is_asked_for(monkeypatch):
    def backends(device, work):
        one, many = sampler.choose_backends(device, work, True)
        return type(one).__name__, type(many).__name__, getattr(many, "device", None)

    monkeypatch.setattr(sampler, "_may_have_gpu", lambda: True)
    monkeypatch.setattr(sampler, "_has_matrix_units", lambda is_bounded: False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert backends("auto", 1e12)[:2] == ("NumpyBackend", "NumpyBackend")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("charrnn.machine.computes", lambda device: True)
    assert backends("auto", 1e12)[:2] == ("NumpyBackend", "TorchBackend")
    assert backends("auto", 1e9)[:2] == backends("cpu", 1e12)[:2] == ("NumpyBackend",) * 2


def test_a_device_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(DeviceError, match="cuda"):
        sample(make_model(STREAM), device="cuda")
    with pytest.raises(ConfigError, match="tpu"):
        sample(make_model(STREAM), device="tpu")


def test_sampling_on_a_cpu_needs_no_torch():
    code = "import sys, charrnn.sampler; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_each_of_several_groups_keeps_to_one_core(monkeypatch):
    calls = []
    one_core = NumpyBackend.use_one_core
    monkeypatch.setattr(
        NumpyBackend,
        "use_one_core",
        lambda self: (calls.append(threading.get_ident()), one_core(self))[1],
    )
    monkeypatch.setattr(sampler, "_has_matrix_units", lambda is_bounded: False)
    monkeypatch.setattr(sampler.NumpyBackend, "group_size", 3)
    draw_all(make_model(STREAM), 8)
    assert calls == []
    monkeypatch.setattr(sampler, "SLOW_WORK", 0)
    monkeypatch.setattr(sampler, "num_usable_cores", lambda: 3)
    monkeypatch.setattr(sampler, "MIN_GROUP", 1)
    draw_all(make_model(STREAM), 8)
    assert len(calls) == 3
    assert threading.get_ident() not in calls


@pytest.mark.parametrize(
    ("num_samples", "stops", "tokenizer", "wanted"),
    [
        (4, (), STREAM, 1),
        (40, (), STREAM, 5),
        (200, (), STREAM, 16),
        (200, ("zz",), STREAM, 1),
        (200, (), NAMES, None),
    ],
)
def test_many_are_told_some_tokens_at_a_time_and_soon(
    num_samples, stops, tokenizer, wanted, monkeypatch
):
    steps = count_steps(monkeypatch)
    monkeypatch.setattr(sampler.NumpyBackend, "group_size", 128)
    config, told = SampleConfig(length=70), []
    model = make_model(tokenizer)
    for event in sample(model, config, num_samples=num_samples, stops=stops, seed=SEED):
        told.append(len(steps))
        if isinstance(event, Done):
            break
    gaps = np.diff([0, *told])  # the step that opens tells the first of them
    if wanted:
        assert gaps[:-2].tolist() == [wanted] * (len(gaps) - 2)
    else:
        assert max(gaps) <= TOGETHER


def count_steps(monkeypatch):
    """Return a list that grows by one with each step."""
    steps, step = [], Stepper.step
    monkeypatch.setattr(
        Stepper, "step", lambda self, tokens: (steps.append(tokens), step(self, tokens))[1]
    )
    return steps


@pytest.mark.parametrize("at_once", [1, 2])
def test_what_was_drawn_before_an_error_is_told(at_once, monkeypatch):
    monkeypatch.setattr(sampler, "num_usable_cores", lambda: at_once)
    monkeypatch.setattr(sampler, "SLOW_WORK", 0)
    monkeypatch.setattr(sampler, "_has_matrix_units", lambda is_bounded: False)
    model, config = make_model(STREAM), SampleConfig(length=70)
    (wanted, *_) = draw_all(model, 64, length=70)
    step = Stepper.step

    def fail(self, tokens):
        self.num_steps = getattr(self, "num_steps", 0) + (np.size(tokens) > 1)
        if self.num_steps == 22:
            raise MemoryError("none is left")
        return step(self, tokens)

    monkeypatch.setattr(Stepper, "step", fail)
    told = []
    with pytest.raises(MemoryError, match="none is left"):
        told.extend(sample(model, config, num_samples=64, seed=SEED))
    assert "".join(event.text for event in told if event.index == 0) == wanted.text[:22]


@pytest.mark.skipif(not int8.is_possible(), reason="needs VNNI, and torch's operators")
@pytest.mark.parametrize("at_once", [1, 3])
def test_samples_in_8_bits_are_the_same_however_they_are_grouped(at_once, monkeypatch):
    model, backend = make_model(NAMES), torch_backend.Int8Backend(NumpyBackend())
    monkeypatch.setattr(sampler, "choose_backends", lambda *asked: (NumpyBackend(), backend))
    monkeypatch.setattr(growing, "SHRINK", -1.0)
    wanted = draw_all(model, 11)
    monkeypatch.setattr(growing, "SHRINK", 0.75)
    monkeypatch.setattr(sampler, "SLOW_WORK", 0)
    monkeypatch.setattr(sampler, "MIN_GROUP", 2)
    monkeypatch.setattr(sampler, "num_usable_cores", lambda: at_once)
    monkeypatch.setattr(backend, "group_size", 4)
    assert [done.text for done in draw_all(model, 11)] == [done.text for done in wanted]
    exact = NumpyBackend()
    monkeypatch.setattr(sampler, "choose_backends", lambda *asked: (exact, exact))
    near = zip(draw_all(model, 11), wanted, strict=True)
    assert any(a.logprob != b.logprob for a, b in near)  # so they were rounded


def test_a_stop_ends_each_of_many_samples_without_a_length():
    dones = draw_all(make_model(STREAM), 5, length=0, stops=["c"])
    assert {done.finish_reason for done in dones} == {"stop"}


def test_a_backend_that_has_the_cores_to_itself_runs_on_one_thread(monkeypatch):
    from charrnn.torch_backend import TorchBackend

    backend = TorchBackend("cpu")
    monkeypatch.setattr(sampler, "choose_backends", lambda *asked: (backend, backend))
    monkeypatch.setattr(sampler, "SLOW_WORK", 0)
    monkeypatch.setattr(sampler, "num_usable_cores", lambda: 3)
    monkeypatch.setattr(sampler, "in_order", lambda makers, at_once: iter([at_once]))
    assert list(sample(make_model(STREAM), num_samples=5)) == [1]
