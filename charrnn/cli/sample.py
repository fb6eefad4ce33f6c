"""`charrnn sample`: options -> a model and how to draw -> text on standard output."""

import secrets
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from charrnn.cli.options import add_options, given_only
from charrnn.cli.process import memory_advice
from charrnn.cli.prompt import check_prompt, read_prompt, source_of, unknown_note
from charrnn.cli.sampleoptions import (
    ITEMS,
    PANELS,
    SHORT,
    check_endless,
    check_together,
    sampling_config,
    useless,
)
from charrnn.cli.streams import require_stdout
from charrnn.cli.threads import prepare_sampling
from charrnn.display.foreign import one_line
from charrnn.display.output import Messages

if TYPE_CHECKING:
    from charrnn.display.sampling import TextWriter
    from charrnn.growing import Event
    from charrnn.modeldir import StoredModel

RECORD = ("index", "seed", "prompt", "text", "finish_reason", "tokens", "logprob")
SEED_BITS = 32  # of a seed drawn at random: short enough to type
Events = Iterator["Event"]
Writer = Callable[[Events, str], None]


@add_options(ITEMS, PANELS, SHORT)
def sample(**options: Any) -> None:
    """Write text that the model draws."""
    options = given_only(options)
    check_together(options)
    require_stdout()
    prompt = read_prompt(options)
    prepare_sampling()
    with memory_advice("lower --num-samples"):
        run(options, prompt)


def run(options: dict[str, Any], prompt: str) -> None:
    """Read the model and write what it draws."""
    from charrnn.cli.interactive import answer_lines
    from charrnn.modeldir import find_model, read_model
    from charrnn.sampler import sample

    stored = read_model(find_model(options.get("model")))
    config = sampling_config(stored.generation, options)
    check_endless(config, options, stored.tokenizer.eos_id is not None)
    for warning in useless(config, options):
        tell(warning)
    seed = options.get("seed", secrets.randbits(SEED_BITS))
    if options.get("verbose"):
        report(stored, seed)

    source = source_of(options)

    def draw(prompt: str, seed: int) -> Events:
        check_prompt(prompt, source, stored.tokenizer)
        tell(unknown_note(prompt, stored.tokenizer))
        return sample(
            stored,
            config,
            prompt=prompt,
            seed=seed,
            num_samples=options.get("num_samples", 1),
            stops=options.get("stop", ()),
            on_unknown=options.get("on_unknown", "error"),
            device=options.get("device", "auto"),
            keep_text=options.get("json", False),
        )

    write = writer_for(options)
    if options.get("interactive"):
        answer_lines(draw, write, seed)
    else:
        write(draw(prompt, seed), prompt)


def report(stored: "StoredModel", seed: int) -> None:
    """Say on stderr which model and which seed are used."""
    Messages(sys.stderr).line(f"model {one_line(str(stored.path))}, seed {seed}")


def tell(warning: str | None) -> None:
    """Say `warning` on stderr, if there is one."""
    if warning is not None:
        Messages(sys.stderr).line(f"charrnn: warning: {one_line(warning)}")


def writer_for(options: dict[str, Any]) -> Writer:
    """Return the function that writes what is drawn, after the prompt that it goes on from."""
    if options.get("json"):
        return lambda events, prompt: write_json(events)
    from charrnn.display.sampling import TextWriter

    many = options.get("num_samples", 1) > 1 or options.get("interactive")
    end = "\0" if options.get("null") else "\n" if many else ""
    text = TextWriter(sys.stdout, end)
    echo = not options.get("no_echo")
    return lambda events, prompt: write_text(text, events, prompt if echo else "")


def write_text(writer: "TextWriter", events: Events, prompt: str) -> None:
    """Write the samples one after another, each behind `prompt`."""
    from charrnn.draft import Done
    from charrnn.tokenizer import readable

    fresh = True
    for event in events:
        if fresh:
            writer.write(readable(prompt))
        fresh = isinstance(event, Done)
        if fresh:
            writer.finish()
        else:
            writer.write(event.text)


def write_json(events: Events) -> None:
    """Write each sample that is done as one JSON object on a line."""
    from charrnn.draft import Done
    from charrnn.strictjson import dumps
    from charrnn.tokenizer import readable

    for event in events:
        if isinstance(event, Done):
            record = {name: getattr(event, name) for name in RECORD}
            record["prompt"] = readable(event.prompt)
            line = dumps(record, indent=None, sort_keys=False)
            sys.stdout.write(line.decode("ascii") + "\n")
            sys.stdout.flush()
