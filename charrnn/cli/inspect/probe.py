"""`charrnn inspect probe`: whether the state knows a label that nobody trained it on."""

import sys
from typing import Annotated

import typer

from charrnn.cli.inspect import Json, Model, view
from charrnn.cli.options import as_typed

STATES = ("c", "h", "mean")
File = Annotated[
    str | None,
    typer.Option(
        parser=as_typed,
        metavar="FILE",
        show_default=False,
        help="More label<TAB>text lines [default: a tenth of TRAIN].",
    ),
]


@view("probe")
def probe(
    train: Annotated[
        str, typer.Argument(parser=as_typed, metavar="TRAIN", help="label<TAB>text lines.")
    ],
    model: Model = None,
    dev: File = None,
    test: File = None,
    state: Annotated[str, typer.Option(help="c|h after the last token, or the mean of c.")] = "c",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the split.")] = 0,
    as_json: Json = False,
) -> None:
    """Does the state know a label nobody trained it on?"""
    from charrnn.cli.parsing import parse_choice
    from charrnn.display.views.waiting import waiting
    from charrnn.strictjson import dumps
    from charrnn.views.envelope import envelope, open_model
    from charrnn.views.memory import Progress
    from charrnn.views.probe import KINDS, Probe, load_parts, measure_probe, to_result

    kind = KINDS[parse_choice(state, STATES, "--state")]
    stored = open_model(model)
    parts = load_parts(train, dev, test, seed)
    found: Probe | None = None
    with waiting() as update:
        for report in measure_probe(stored, parts, kind, seed):
            if isinstance(report, Progress):
                update(report.what, report.done, report.total)
            else:
                found = report
    assert found is not None
    if as_json:
        settings = {"train": train, "dev": dev, "test": test, "state": state, "seed": seed}
        units = {"accuracy": "share of the test texts", "strength": "C"}
        whole = envelope("probe", stored, None, settings, units, to_result(found))
        sys.stdout.write(dumps(whole, indent=None).decode("ascii") + "\n")
        return
    from charrnn.display.views.probe import show_probe

    show_probe(found)
