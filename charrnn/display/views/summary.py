"""summary on a terminal: what the model is, how it was made, and how good it is."""

import math

from rich.table import Table
from rich.text import Text

from charrnn.display.foreign import one_line
from charrnn.display.views.page import make_console
from charrnn.modeldir import StoredModel
from charrnn.views.summary import Summary, options_of, sentence

FLOOR_NAMES = {
    "uniform": "every symbol alike (ln V)",
    "unigram": "how often each symbol comes",
    "bigram": "the symbol before (Witten-Bell)",
    "ngram": "the best of 1- to 10-grams (Witten-Bell)",
    "lzma": "lzma, trained on the same text",
}


def show_summary(stored: StoredModel, summary: Summary, *, width: int | None = None) -> None:
    """Print the view."""
    console = make_console(width=width)
    config = stored.config
    kind = f"{config.num_layers} x {config.hidden_size} {config.cell_type}"
    console.print(Text(f"{one_line(str(stored.path))}: {kind}", style="bold"))
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    for block, count in summary.parameters.items():
        table.add_row(block, f"{count:,}", f"{count / summary.num_parameters:.0%}")
    table.add_row("parameters", f"{summary.num_parameters:,}", "")
    table.add_row("vocabulary", f"{config.vocab_size:,}", f"{stored.tokenizer.level} level")
    for name, key in (("training", "num_train_tokens"), ("held out", "num_valid_tokens")):
        if key in summary.record:
            table.add_row(name, f"{summary.record[key]:,}", "tokens")
    console.print(table)
    for source in summary.record.get("corpus", []):
        console.print(Text(f"text {one_line(source['path'])}  sha256 {source['sha256'][:16]}"))
    if "reason" in summary.record:
        console.print(Text(one_line(str(summary.record["reason"]))))
    options = ", ".join(f"{name} {one_line(value)}" for name, value in options_of(summary.record))
    if options:
        console.print(Text(f"options: {options}", style="dim", overflow="fold"))
    console.print()
    console.print(loss_table(summary))
    console.print(health_table(summary))
    for warning in summary.warnings:
        console.print(Text(f"note: {warning}", style="yellow"))
    console.print(Text(sentence(summary), style="bold"))


def loss_table(summary: Summary) -> Table:
    """Return the losses beside what needs no network."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("nats", "bits"):
        table.add_column(title, justify="right")
    table.add_column("per token", overflow="fold")
    rows = [(summary.floors[name], FLOOR_NAMES[name]) for name in summary.floors]
    if summary.valid_loss is not None:
        rows.append((summary.valid_loss, f"this model, held-out part{ends(summary)}"))
    if summary.train_loss is not None:
        rows.append((summary.train_loss, "this model, training, dropout on"))
    for nats, meaning in sorted(rows, reverse=True):
        table.add_row(f"{nats:.4f}", f"{nats / math.log(2):.4f}", meaning)
    return table


def ends(summary: Summary) -> str:
    """Return the interval of the held-out loss in nats; empty where it is not known."""
    valid = summary.valid
    if valid is None or valid.low != valid.low:
        return ""
    return f" [{valid.low:.4f}, {valid.high:.4f}]"


def health_table(summary: Summary) -> Table:
    """Return the spectra of the recurrent blocks and the units that do not move."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("block")
    table.add_column("spectral norm", justify="right")
    table.add_column("radius", justify="right")
    for name, values in summary.spectra.items():
        table.add_row(name, f"{values['norm']:.3f}", f"{values['radius']:.3f}")
    for layer, count in (summary.dead_units or {}).items():
        table.add_row(f"layer {layer}", f"{count} dead units", "")
    return table
