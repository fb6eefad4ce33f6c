"""`charrnn sample`: the text and nothing else on standard output, exactly and at once."""

import json
import resource
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from commands import charrnn, complaint, environment, refusal, shell
from model_directories import make_config, make_model
from terminals import charrnn as on_terminal

from charrnn.draft import Done
from charrnn.modeldir import read_model, weight_shapes, write_model
from charrnn.sampler import sample
from charrnn.tokenizer import Tokenizer
from charrnn.tokenizer_json import byte_alphabet

HOSTILE = tuple(sorted("\n\t\r\0\x07\x1b\x7f\x9b[]2Jm;5\u202e\u2028a\U0001f600"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models") / "it"
    make_model(directory)
    return directory


def planted(directory, vocabulary, favourite=None, level="char"):
    """Write a model that draws all symbols alike, or always `favourite`."""
    config = make_config(vocab_size=len(vocabulary))
    weights = {name: np.zeros(shape, np.float32) for name, shape in weight_shapes(config).items()}
    if favourite is not None:
        weights["output.bias"][vocabulary.index(favourite)] = 60
    directory.mkdir()
    write_model(directory, config, Tokenizer(level, vocabulary), weights)
    return directory


def drawn(model, prompt="", **options):
    """Return the texts that the library draws."""
    events = sample(read_model(model), prompt=prompt, **options)
    return [prompt + event.text for event in events if isinstance(event, Done)]


@pytest.mark.slow
def test_a_pipe_gets_the_drawn_text_exactly(model):
    (text,) = drawn(model, "hello", seed=5)
    process = charrnn("sample", "-m", model, "--seed", "5", "-p", "hello")
    assert (process.returncode, process.stderr) == (0, b"")
    assert process.stdout == text.encode()
    assert len(text) == 1005


@pytest.mark.slow
def test_a_file_gets_what_a_pipe_gets(model, tmp_path):
    script = f"charrnn sample -m {model} --seed 5 -l 200 > f; charrnn sample -m {model} --seed 5"
    shell(f"{script} -l 200 | cat > g", cwd=tmp_path)
    assert (tmp_path / "f").read_bytes() == (tmp_path / "g").read_bytes() != b""


@pytest.mark.slow
def test_without_echo_the_prompt_is_not_written(model):
    (text,) = drawn(model, "hello", seed=5)
    process = charrnn("sample", "-m", model, "--seed", "5", "-p", "hello", "--no-echo")
    assert process.stdout == text[5:].encode()


@pytest.mark.slow
def test_several_samples_end_with_newline_or_nul(model):
    options = ["-m", model, "-n", "3", "--seed", "2", "-l", "20"]
    config = replace(read_model(model).generation, length=20)
    texts = drawn(model, "he", seed=2, num_samples=3, config=config)
    lines = [text if text.endswith("\n") else text + "\n" for text in texts]
    assert charrnn("sample", *options, "-p", "he").stdout == "".join(lines).encode()
    nul = "".join(text + "\0" for text in texts)
    assert charrnn("sample", *options, "-p", "he", "-0").stdout == nul.encode()


def test_json_tells_seed_prompt_text_and_how_it_ended(model):
    options = ["-m", model, "--seed", "2", "-l", "30", "-p", "hé", "-n", "2"]
    lines = charrnn("sample", *options, "--json").stdout.splitlines()
    records = [json.loads(line) for line in lines]
    assert [list(record) for record in records] == [
        ["index", "seed", "prompt", "text", "finish_reason", "tokens", "logprob"]
    ] * 2
    assert [record["index"] for record in records] == [0, 1]
    assert all(line.isascii() for line in lines)
    first = records[0]
    assert (first["seed"], first["prompt"], first["tokens"]) == (2, "hé", 30)
    assert (first["finish_reason"], len(first["text"])) == ("length", 30)
    assert first["logprob"] < 0


@pytest.mark.slow
def test_each_run_has_a_seed_of_its_own_that_repeats_it(model):
    first = charrnn("sample", "-m", model, "-l", "50", "-v")
    second = charrnn("sample", "-m", model, "-l", "50", "-v")
    assert first.stdout != second.stdout
    seed = first.stderr.decode().split("seed ")[1].strip()
    assert first.stderr.decode() == f"model {model}, seed {seed}\n"
    assert charrnn("sample", "-m", model, "-l", "50", "--seed", seed).stdout == first.stdout


@pytest.mark.slow
def test_argmax_repeats_itself_without_a_seed(model):
    texts = {charrnn("sample", "-m", model, "-l", "50", "--argmax").stdout for _ in range(2)}
    assert len(texts) == 1


def test_stops_are_not_written(tmp_path):
    model = planted(tmp_path / "m", ("\n", "a", "b"))
    text = charrnn("sample", "-m", model, "--stop", "ab", "--stop", "ba", "--seed", "1").stdout
    assert not {b"ab", b"ba"} & {text[i : i + 2] for i in range(len(text))}
    assert len(text) < 200


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [["-p", "hello\n "], ["-p", "-"], ["--prompt-file", "prompt"]]
)
def test_a_prompt_is_taken_exactly_from_wherever_it_comes(model, tmp_path, arguments):
    (tmp_path / "prompt").write_bytes(b"hello\n ")
    options = ["-m", model, "--seed", "5", "-l", "9", *arguments]
    process = charrnn("sample", *options, cwd=tmp_path, stdin=b"hello\n ")
    assert process.stdout.startswith(b"hello\n ")
    assert len(process.stdout.decode()) == 16


@pytest.mark.slow
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n"])
@pytest.mark.parametrize("arguments", [["-p", "-"], ["--prompt-file", "prompt"]])
def test_one_newline_at_the_end_of_a_piped_prompt_is_dropped(model, tmp_path, arguments, end):
    (tmp_path / "prompt").write_bytes(b"he" + end)
    options = ["-m", model, "--json", "-l", "2", *arguments]
    process = charrnn("sample", *options, cwd=tmp_path, stdin=b"he" + end)
    kept = {b"\n": "", b"\r\n": "", b"\n\n": "\n"}[end]
    assert json.loads(process.stdout)["prompt"] == "he" + kept


@pytest.mark.slow
def test_a_typed_prompt_keeps_its_newline(model):
    process = charrnn("sample", "-m", model, "--json", "-l", "2", "-p", "he\n")
    assert json.loads(process.stdout)["prompt"] == "he\n"


@pytest.mark.slow
def test_a_model_of_bytes_takes_any_prompt_and_shows_it_readable(tmp_path):
    model = planted(tmp_path / "m", tuple(byte_alphabet()), "a", level="byte")
    process = charrnn("sample", "-m", model, "-l", "2", "-p", "-", stdin=b"\xc3\xa9\xff")
    assert (process.stdout.decode(), process.stderr) == ("é\ufffdaa", b"")
    record = charrnn("sample", "-m", model, "-l", "2", "-p", "\udcff", "--json").stdout
    assert json.loads(record)["prompt"] == "\ufffd"


@pytest.mark.slow
def test_unknown_words_of_a_prompt_are_said_and_read_as_unk(tmp_path):
    vocabulary = ("<unk>", " ", "\n", "a", "to")
    model = planted(tmp_path / "m", vocabulary, "a", level="word")
    prompt = "to xy  to v xy w1 w2 w3 w4"
    process = charrnn("sample", "-m", model, "-l", "2", "-p", prompt)
    assert (process.returncode, process.stdout.decode()) == (0, prompt + "aa")
    assert process.stderr.decode() == (
        "charrnn: warning: not in the model's vocabulary, read as <unk>: "
        "'xy', '  ', 'v', 'w1', 'w2' and 2 more\n"
    )
    assert charrnn("sample", "-m", model, "-l", "2", "-p", "to a").stderr == b""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "stdin", "parts"),
    [
        (["-p", "hellx"], b"", ["'x'", "U+0078"]),
        (["-p", "h\u00e9\udcff"], b"", ["the prompt is not UTF-8 at byte 3"]),
        (["-p", "-"], b"he\xff", ["standard input", "byte 2"]),
        (["--top-k", "nan"], b"", ["--top-k is 'nan'"]),
        (["--stop", ""], b"", ["stop"]),
    ],
)
def test_what_cannot_be_read_is_refused_before_anything_is_written(model, arguments, stdin, parts):
    process = charrnn("sample", "-m", model, *arguments, stdin=stdin)
    assert (process.returncode, process.stdout) == (2, b"")
    line = complaint(process)
    assert all(part in line for part in parts)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--min-length", "50", "-l", "20"], "--min-length 50 is more than --length 20"),
        (["--min-length", "2000"], "--min-length 2000 is more than --length 1000"),
        (["-n", "3", "-l", "0"], "--num-samples 3 and --length 0 contradict each other"),
    ],
)
def test_lengths_that_contradict_are_refused(model, arguments, message):
    code, line = refusal("sample", "-m", model, *arguments)
    assert code == 2
    assert line.startswith(message)


def test_options_that_change_nothing_are_said(model):
    options = ["-m", model, "-l", "2", "-t", "0", "--top-k", "3", "--min-p", "0.1", "-n", "2"]
    process = charrnn("sample", *options)
    assert process.returncode == 0
    assert process.stderr.decode().splitlines() == [
        "charrnn: warning: --top-k 3 has no effect at temperature 0",
        "charrnn: warning: --min-p 0.1 has no effect at temperature 0",
        "charrnn: warning: all 2 samples are alike at temperature 0",
    ]


def test_unknown_characters_are_skipped_when_asked(model):
    process = charrnn("sample", "-m", model, "-p", "heXllo", "--on-unknown", "skip", "-l", "5")
    assert process.returncode == 0
    assert process.stdout


def test_no_model_says_what_to_do(tmp_path):
    process = charrnn("sample", cwd=tmp_path)
    assert (process.returncode, process.stdout) == (2, b"")
    assert "--model" in complaint(process)


def test_a_directory_that_is_no_model_is_named(tmp_path):
    process = charrnn("sample", "-m", tmp_path)
    assert process.returncode == 1
    assert str(tmp_path) in complaint(process)


@pytest.mark.slow
def test_a_reader_that_has_had_enough_is_no_error(model):
    script = f"charrnn sample -m {model} --length 0 | head -c 100; exit ${{PIPESTATUS[0]}}"
    process = shell(script)
    assert (process.returncode, len(process.stdout), process.stderr) == (0, 100, b"")


def test_a_full_disk_is_an_error(model):
    process = shell(f"charrnn sample -m {model} > /dev/full")
    assert process.returncode == 1
    assert complaint(process) == "cannot write to standard output: No space left on device"


def test_the_first_text_is_there_before_the_last_is_drawn(model):
    command = [sys.executable, "-m", "charrnn", "sample", "-m", str(model), "-l", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment()) as process:
        assert process.stdout.read1(1)
        process.kill()


def test_sampling_imports_nothing_that_takes_long(model):
    code = (
        "import sys; from charrnn.cli import run_command; "
        f"run_command(['sample', '-m', {str(model)!r}, '-l', '9', '-t', '0.7']); "
        "slow = {'torch', 'rich', 'pydantic', 'safetensors.torch'}; sys.stdout.flush(); "
        "print(sorted(slow & set(sys.modules)), file=sys.stderr)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert process.stderr == b"[]\n"


@pytest.mark.slow
def test_a_hundred_characters_take_half_a_second(model):
    def seconds():
        """Of computing, whatever else is running."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert charrnn("sample", "-m", model, "-l", "100").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(3)) <= 0.5


@pytest.mark.slow
def test_a_terminal_is_never_told_what_to_do(tmp_path):
    model = planted(tmp_path / "m", HOSTILE)
    code, shown = on_terminal("sample", "-m", model, "-l", "3000", "--seed", "1").end()
    assert code == 0
    assert all(c.isprintable() or c in "\r\n\t" for c in shown)
    assert "\\x1b" in shown
    assert "\\u202e" in shown
    assert shown.replace("\r\n", "").count("\r") == 0
    raw = charrnn("sample", "-m", model, "-l", "3000", "--seed", "1").stdout.decode()
    assert len(raw) == 3000
    assert set(raw) == set(HOSTILE)


def test_on_a_terminal_the_next_prompt_gets_a_line_of_its_own(tmp_path):
    model = planted(tmp_path / "m", ("\n", "a"), "a")
    assert on_terminal("sample", "-m", model, "-l", "3").end() == (0, "aaa\r\n")
