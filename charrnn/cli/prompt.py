"""The prompt of `charrnn sample`: where it comes from, and what of it the model cannot read."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.errors import ConfigError

if TYPE_CHECKING:
    from charrnn.tokenizer import Tokenizer

SHOWN = 5  # unknown words that are named


def read_prompt(options: dict[str, Any]) -> str:
    """Return the prompt, "" without one; bytes that are not UTF-8 as Python keeps them.

    One newline at the end of a pipe or file is no part of it: `echo` and editors put it there.
    Raises ConfigError for a file that cannot be read.
    """
    if options.get("prompt") == "-":
        data = sys.stdin.buffer.read()
    elif "prompt_file" in options:
        name = options["prompt_file"]
        try:
            data = Path(name).read_bytes()
        except OSError as error:
            raise ConfigError(f"--prompt-file {name}: {error.strerror}") from None
    else:
        return str(options.get("prompt", ""))
    if data.endswith(b"\n"):
        data = data[:-1].removesuffix(b"\r")
    return data.decode("utf-8", "surrogateescape")


def source_of(options: dict[str, Any]) -> str:
    """Return where the prompt comes from, for a message."""
    if options.get("prompt") == "-":
        return " in standard input"
    return f" in {options['prompt_file']}" if "prompt_file" in options else ""


def check_prompt(prompt: str, source: str, tokenizer: "Tokenizer") -> None:
    """Raise ConfigError for bytes that are not UTF-8, unless they are what the model reads."""
    if tokenizer.level == "byte":
        return
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError as error:
        place = len(prompt[: error.start].encode("utf-8"))
        raise ConfigError(f"the prompt{source} is not UTF-8 at byte {place}") from None


def unknown_note(prompt: str, tokenizer: "Tokenizer") -> str | None:
    """Return a warning about the words of `prompt` that the model reads as <unk>, if there are."""
    if tokenizer.level != "word":
        return None
    words = tokenizer.unknown_words(prompt)
    if not words:
        return None
    named = ", ".join(map(repr, words[:SHOWN]))
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return f"not in the model's vocabulary, read as <unk>: {named}{more}"
