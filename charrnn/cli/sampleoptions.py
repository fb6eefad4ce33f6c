"""The options of `charrnn sample`: what they are, and what they amount to together."""

from dataclasses import dataclass, replace
from typing import Any

from charrnn.cli.options import flag_of, items_of
from charrnn.config import COUNT_MAX, OnUnknown, Range, SampleConfig, option
from charrnn.errors import ConfigError


@dataclass(frozen=True)
class TextOptions:
    """What a user may say about sampling beside SampleConfig."""

    model: str | None = option(
        None, "Model directory or checkpoint [default: $CHARRNN_MODEL, or the newest in runs/]."
    )
    prompt: str | None = option(
        None, "Text to go on from; - reads standard input, less one newline at its end."
    )
    prompt_file: str | None = option(
        None, "File with the text to go on from, less one newline at its end."
    )
    num_samples: int = option(1, "How many samples.", Range(1, COUNT_MAX))
    argmax: bool = option(False, "Always take the likeliest token.")
    stop: tuple[str, ...] = option((), "End before this string (may be given again).")
    seed: int | None = option(
        None, "Of the random numbers [default: another each time].", Range(0, 2**63 - 1)
    )
    no_echo: bool = option(False, "Do not write the prompt.")
    null: bool = option(False, "End each sample with NUL.")
    json: bool = option(False, "Write a JSON object a line.")
    interactive: bool = option(False, "Read prompts line by line; an empty line ends.")
    on_unknown: OnUnknown = option("error", "A character the model does not know.", None, OnUnknown)
    device: str = option("auto", "Where it is computed; auto is the CPU for a few samples.")
    verbose: bool = option(False, "Say model and seed on standard error.")


ITEMS = items_of(TextOptions, SampleConfig)
SHORT = {
    "model": "-m",
    "prompt": "-p",
    "length": "-l",
    "num_samples": "-n",
    "temperature": "-t",
    "null": "-0",
    "interactive": "-i",
    "verbose": "-v",
}
PANELS = {
    "What is written": "model prompt prompt_file length num_samples stop min_length interactive",
    "How the next token is drawn": (
        "temperature argmax top_k top_p min_p repetition_penalty seed on_unknown device"
    ),
    "How it is written": "no_echo null json verbose",
}
FILTERS = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
GREEDY = SampleConfig(temperature=0.0)


def check_together(options: dict[str, Any]) -> None:
    """Raise ConfigError for options that contradict each other."""
    pairs = [("argmax", name) for name in FILTERS]
    pairs += [("prompt", "prompt_file"), ("json", "null")]
    pairs += [("interactive", name) for name in ("prompt", "prompt_file", "null", "num_samples")]
    said = {name for name, value in options.items() if value is not False}
    for one, other in pairs:
        if {one, other} <= said:
            raise ConfigError(f"{flag_of(one)} and {flag_of(other)} contradict each other")


def sampling_config(generation: SampleConfig, options: dict[str, Any]) -> SampleConfig:
    """Return how to draw: what was asked for, else what the model's directory says.

    Raises ConfigError where the two do not fit together.
    """
    asked = {name: value for name, value in options.items() if name in items_of(SampleConfig)}
    if options.get("argmax"):
        asked |= {name: getattr(GREEDY, name) for name in FILTERS}
    length, least = (asked.get(n, getattr(generation, n)) for n in ("length", "min_length"))
    if length and least > length:
        raise ConfigError(f"--min-length {least} is more than --length {length}")
    return replace(generation, **asked)


def check_endless(config: SampleConfig, options: dict[str, Any], ends: bool) -> None:
    """Raise ConfigError for several samples of which the first would have no end.

    `ends`: the model itself ends a text.
    """
    many = options.get("num_samples", 1)
    if many > 1 and config.length == 0 and not ends and not options.get("stop"):
        raise ConfigError(
            f"--num-samples {many} and --length 0 contradict each other: the first sample has no "
            "end; needs a length or --stop"
        )


def useless(config: SampleConfig, options: dict[str, Any]) -> list[str]:
    """Return warnings about options that change nothing."""
    if config.temperature:
        return []
    found = [
        f"{flag_of(name)} {options[name]} has no effect at temperature 0"
        for name in FILTERS
        if name in options and name not in ("temperature", "repetition_penalty")
    ]
    if options.get("num_samples", 1) > 1:
        found.append(f"all {options['num_samples']} samples are alike at temperature 0")
    return found
