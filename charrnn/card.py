"""The model card: README.md of a model directory, for whoever finds it later."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from charrnn.config import ModelConfig
from charrnn.reports import EvalReport
from charrnn.tokenizer import Tokenizer

LEVEL_NAMES = {"char": "characters", "byte": "bytes", "word": "words"}


def model_card(
    directory: Path,
    model: ModelConfig,
    tokenizer: Tokenizer,
    record: Mapping[str, Any],
    evaluation: EvalReport | None,
) -> str:
    """Return the card as Markdown: what the model is, how good, and how to use it."""
    texts = ", ".join(inline_code(Path(r["path"]).name) for r in record["corpus"])
    where = inline_text(shlex.quote(str(directory)))
    lines = [
        f"# {inline_text(directory.name)}",
        "",
        f"A recurrent language model of {LEVEL_NAMES[tokenizer.level]}, made by charrnn "
        f"{record['versions']['charrnn']} from {texts}.",
        "",
        "| | |",
        "|---|---|",
        f"| network | {model.cell_type}, {model.num_layers} x {model.hidden_size} units, "
        f"{record['num_parameters']:,} parameters |",
        f"| vocabulary | {model.vocab_size:,} {LEVEL_NAMES[tokenizer.level]} |",
        f"| trained on | {record['num_train_tokens']:,} tokens |",
        *evaluation_rows(evaluation, record),
        "",
        "```sh",
        f"charrnn sample -m {where} --temperature 0.8",
        f"charrnn inspect surprisal -m {where} TEXT",
        f"charrnn train --resume -o {where}",
        "```",
        "",
        "`train.json` holds every option and the corpus's sha256, `metrics.jsonl` the losses.",
        "",
    ]
    return "\n".join(lines)


def evaluation_rows(evaluation: EvalReport | None, record: Mapping[str, Any]) -> list[str]:
    """Return the table's rows on the held-out loss."""
    if evaluation is None or evaluation.valid_loss is None:
        return ["| held-out loss | not measured yet |"]
    bits = evaluation.valid_bits_per_char
    per_char = "" if bits is None else f", {bits:.4f} bits per character"
    return [
        f"| held-out loss | {evaluation.valid_loss:.4f} nats per token{per_char}, on "
        f"{record['num_valid_tokens']:,} tokens after step {evaluation.step:,} |"
    ]


def inline_code(name: str) -> str:
    """Return `name` as Markdown code, whatever it holds."""
    return "`" + inline_text(name).replace("`", "'") + "`"


def inline_text(name: str) -> str:
    """Return `name` on one line, without control characters."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
