"""`charrnn inspect copying`: what of a sample stands verbatim in the corpus."""

import sys
from typing import Annotated

import typer

from charrnn.cli.inspect import Json, Model, view
from charrnn.cli.options import as_typed
from charrnn.errors import ConfigError

NUM_SAMPLES, LENGTH = 20, 1000


@view("copying")
def copying(
    corpus: Annotated[
        list[str] | None,
        typer.Argument(
            parser=as_typed,
            metavar="CORPUS",
            show_default=False,
            help="The text it was trained on [default: the model's own].",
        ),
    ] = None,
    model: Model = None,
    samples: Annotated[
        str | None,
        typer.Option(
            parser=as_typed,
            metavar="FILE",
            show_default=False,
            help="Samples to judge, or -: the output of sample, sample -0 or sample --json "
            "[default: drawn anew].",
        ),
    ] = None,
    num_samples: Annotated[
        int | None,
        typer.Option(
            "-n", "--num-samples", min=1, help=f"Samples to draw [default: {NUM_SAMPLES}]."
        ),
    ] = None,
    length: Annotated[
        int | None,
        typer.Option("-l", "--length", min=1, help=f"Tokens in each [default: {LENGTH}]."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the samples.")] = 0,
    as_json: Json = False,
) -> None:
    """Is a sample plagiarism? Its longest verbatim match with the corpus, beside held-out text."""
    from charrnn.display.views.waiting import waiting
    from charrnn.strictjson import dumps
    from charrnn.views import copying as numbers
    from charrnn.views.envelope import envelope, open_model

    if samples is not None and (num_samples or length):
        name = "--num-samples" if num_samples else "--length"
        raise ConfigError(f"--samples and {name} contradict each other: none are drawn")
    num_samples, length = num_samples or NUM_SAMPLES, length or LENGTH
    for name in corpus or []:
        numbers.check_samples_and_corpus(name, samples)
    stored = open_model(model)
    sources, encoding = (corpus, None) if corpus else numbers.own_sources(stored)
    text = numbers.read_corpus(sources, stored.tokenizer.level, encoding)
    if samples is None:
        with waiting() as told:
            texts = numbers.draw_samples(stored, num_samples, length, seed, told)
    else:
        texts = numbers.read_samples(samples)
    found = numbers.measure_copying(stored, text, texts, seed)
    if as_json:
        units = {"longest": "characters", "offset": "characters", "covered": "share of characters"}
        drawn = {"num_samples": len(texts), "samples": samples, "seed": seed, "length": length}
        settings = {"corpus": list(sources), "least": list(numbers.LEAST), **drawn}
        result = numbers.to_result(found)
        whole = envelope("copying", stored, None, settings, units, result, found.warnings)
        sys.stdout.write(dumps(whole, indent=None).decode("ascii") + "\n")
        return
    from charrnn.display.views.copying import show_copying

    show_copying(found)
