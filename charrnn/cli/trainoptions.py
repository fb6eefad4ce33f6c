"""The options of `charrnn train`: what they are, in which groups, and a request made from them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from charrnn.cli.configfile import read_options
from charrnn.cli.options import given_only, items_of
from charrnn.config import BUDGETS, TrainConfig, option
from charrnn.display.paint import Color
from charrnn.request import RunRequest


@dataclass(frozen=True)
class RunOptions:
    """What a user may say about a run beside TrainConfig: files, and what is shown."""

    output: str | None = option(None, "Model directory [default: runs/<name of TEXT>].")
    resume: bool = option(False, "Go on exactly where the run stopped; TEXT may be left out.")
    force: bool = option(False, "Replace the run in the output directory.")
    init_from: str | None = option(None, "Start from the weights of another model.")
    config: str | None = option(None, "Read options from a TOML file; flags beat it.")
    valid: tuple[str, ...] = option((), "Held-out text, instead of the last part of TEXT.")
    encoding: str | None = option(
        None, "Of the text [default: utf-8; with --level byte the bytes as they are]."
    )
    quiet: bool = option(False, "Show warnings only.")
    verbose: bool = option(False, "Show more, such as each save.")
    json: bool = option(False, "Write start, metrics and end to standard output as JSON lines.")
    color: Color = option("auto", "Colours on standard error.", None, Color)


ITEMS = items_of(RunOptions, TrainConfig)
SHORT = {"output": "-o", "quiet": "-q", "verbose": "-v"}
PANELS = {
    "The run": "output epochs max_steps max_time patience resume force init_from config",
    "The text": "level pretokenized vocab_size min_count document valid valid_frac encoding",
    "The network (what is not set is chosen from the text, the device and the budget)": (
        "cell nonlinearity hidden_size num_layers embedding_size tie_weights"
    ),
    "Regularisation": "dropout input_dropout weight_drop weight_decay",
    "Optimization": (
        "optimizer seq_length batch_size learning_rate warmup_steps grad_clip softmax_samples"
    ),
    "How often, in steps [default: by the clock]": "eval_every save_every sample_every log_every",
    "The machine": "device precision threads seed deterministic",
    "What is shown": "quiet verbose json color",
}


def merge_file(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options given on the command line, and those of --config that it leaves open.

    A budget on the command line beats a budget of another kind in the file.
    """
    typed = given_only(options)
    if "config" not in typed:
        return typed
    known = {name: item for name, item in ITEMS.items() if name != "config"}
    read = read_options(Path(typed["config"]), known)
    if any(name in typed for name in BUDGETS):
        read = {name: value for name, value in read.items() if name not in BUDGETS}
    return read | typed


def make_request(text: list[str], options: dict[str, Any]) -> RunRequest:
    """Return the request that TEXT and the options given, the file's included, amount to.

    Raises ConfigError.
    """
    fields = {name: value for name, value in options.items() if name in items_of(TrainConfig)}
    output = options.get("output")
    return RunRequest(
        texts=tuple(text),
        output=None if output is None else Path(output),
        config=replace(TrainConfig(), **fields),
        valid=tuple(options.get("valid", ())),
        encoding=options.get("encoding"),
        resume=options.get("resume", False),
        force=options.get("force", False),
        init_from=options.get("init_from"),
        given=frozenset(fields),
    )
