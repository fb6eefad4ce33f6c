"""curve on a terminal: the losses in braille, the numbers under them, the samples first to last."""

import math

from rich.text import Text

from charrnn.display.foreign import clip, one_line
from charrnn.display.numbers import show_duration
from charrnn.display.sparkline import sparkline
from charrnn.display.views.page import make_console
from charrnn.display.views.plot import braille_plot, marks_of
from charrnn.views.curve import Curve, sentence

HEIGHT = 12
MAX_WIDTH = 120
NUM_SAMPLES = 6


def show_curve(curve: Curve, *, width: int | None = None) -> None:
    """Print the view."""
    console = make_console(width=width)
    size = min(console.width, MAX_WIDTH)
    series, styles, names = [], [], []
    train = [(float(line["step"]), float(line["loss"])) for line in curve.log]
    valid = [(float(line["step"]), float(line["valid_loss"])) for line in curve.evaluations]
    for name, values, style in (("train", train, "blue"), ("valid", valid, "dark_orange")):
        if values:
            series.append((name, values))
            styles.append(style)
            names.append(name)
    marks = marks_of(len(series), console)
    title = Text("loss, nats per token: ")
    for name, style, sign in zip(names, styles, marks, strict=True):
        title.append(f"{sign or '⠒⠒'} {name}  ", style)
    console.print(title, no_wrap=True, crop=True)
    for line in braille_plot(series, size, HEIGHT, styles, marks):
        console.print(line, no_wrap=True, crop=True)
    steps = [x for _, values in series for x, _ in values]
    console.print(Text(f"{'':8}steps {min(steps):,.0f} to {max(steps):,.0f}"))
    console.print()
    for text in number_lines(curve, size):
        console.print(text)
    show_samples(curve, size)
    console.print(Text(sentence(curve), style="bold"))


def number_lines(curve: Curve, width: int) -> list[Text]:
    """Return the rates, the gradient norms and the best step."""
    lines = []
    room = max(4, width - 24)
    for name, key in (("learning rate", "learning_rate"), ("gradient norm", "grad_norm")):
        values = [float(line[key]) for line in curve.log]
        if values:
            lines.append(Text(f"{name:<14}{sparkline(values, room)} {values[-1]:.3g}"))
    if curve.clipped is not None:
        lines.append(Text(f"{'clipped':<14}{curve.clipped:.0%} of the logged steps"))
    if curve.best_loss is not None:
        bits = curve.best_loss / math.log(2)
        lines.append(
            Text(f"{'best':<14}{curve.best_loss:.4f} ({bits:.3f} bits) at step {curve.best_step:,}")
        )
    if curve.log:
        seconds = float(curve.log[-1]["elapsed_seconds"])
        lines.append(Text(f"{'time':<14}{show_duration(seconds)}"))
    return [*lines, Text()]


def show_samples(curve: Curve, width: int) -> None:
    """Print some of the samples drawn while training, the first and the last among them."""
    console = make_console(width=width)
    count = len(curve.samples)
    if not count:
        return
    console.print(Text("what it wrote", style="bold"))
    chosen = sorted({round(i * (count - 1) / max(1, NUM_SAMPLES - 1)) for i in range(NUM_SAMPLES)})
    for index in chosen:
        sample = curve.samples[index]
        head = f"{'step ' + format(sample['step'], ','):<14}"
        text = clip(one_line(str(sample["text"])), max(8, width - len(head)))
        console.print(Text(head, style="dim").append(text), no_wrap=True, crop=True)
    console.print()
