"""How each section of a report is made: the view's own numbers, in the view's own envelope."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from charrnn.modeldir import run_directory
from charrnn.views import (
    ablate,
    calibration,
    cells,
    cells_result,
    compare,
    copying,
    curve,
    embed,
    errors,
    gates,
    memory,
    probe,
    saliency,
    summary,
    surprisal,
)
from charrnn.views.report_choice import choose_target
from charrnn.views.report_request import Made, Request, Scored, Steps, corpus_text, drain
from charrnn.views.report_units import make_units
from charrnn.views.skipped import skipped_rows

Found = Mapping[str, Made]
PAINTED, GUESSES = 2400, 6  # tokens that are painted, and what was expected in place of each
ORDER = 10  # longest n-gram
LAGS, NEIGHBOURS, SEED = 100, 6, 0


def make_summary(request: Request, _: Found) -> Steps[Made]:
    """Return what the model is."""
    yield memory.Progress("", 0, 1)
    found = summary.summarize(request.stored, run_directory(request.stored))
    result, units = summary.to_result(found), summary.UNITS
    return Made(found, request.seal("summary", result, units, {}, found.warnings, reads=False))


def make_curve(request: Request, _: Found) -> Steps[Made]:
    """Return what the run recorded."""
    yield memory.Progress("", 0, 1)
    found = curve.read_curve(run_directory(request.stored))
    return Made(found, request.seal("curve", curve.to_result(found), curve.UNITS, {}, reads=False))


def make_surprisal(request: Request, _: Found) -> Steps[Made]:
    """Return the surprisal of the text."""
    text = request.need_text()
    yield memory.Progress("", 0, 1)
    found = surprisal.measure_surprisal(request.stored, text)
    symbols = request.stored.tokenizer.pieces
    result = surprisal.to_result(found, [symbols[int(i)] for i in text.ids[:PAINTED]], PAINTED)
    result["skipped"] = skipped_rows([one for one in text.skipped if one[0] < PAINTED])
    warnings = surprisal.warnings_of(request.stored, found.totals)
    settings = {"top_k": 0, "exact": False, "adapt": False, "totals": False}
    beginning = replace(text, ids=text.ids[:PAINTED])
    painted = surprisal.measure_surprisal(request.stored, beginning, top_k=GUESSES)
    warnings += request.first(PAINTED)
    sealed = request.seal("surprisal", result, surprisal.UNITS, settings, warnings)
    return Made(Scored(found, painted), sealed)


def make_cells(request: Request, _: Found) -> Steps[Made]:
    """Return which units track something."""
    budget, text = request.budget, request.need_text()
    found = yield from cells.measure_cells(
        request.stored, text, budget=budget.cells, causal=budget.causal
    )
    settings = {"causal": budget.causal, "feature": []}
    units = {"delta_bits": "bits per token", "auc": "probability", "p": "after Holm"}
    result = cells_result.to_result(found, request.stored.tokenizer)
    return Made(found, request.seal("cells", result, units, settings, found.warnings))


def make_copying(request: Request, _: Found) -> Steps[Made]:
    """Return what of new samples stands in the training text."""
    corpus, notes = corpus_text(request)
    num, length = request.budget.samples, request.budget.length
    yield memory.Progress("sampling", 0, 1)
    texts = copying.draw_samples(request.stored, num, length, SEED)
    found = copying.measure_copying(request.stored, corpus, texts, SEED)
    units = {"longest": "characters", "offset": "characters", "covered": "share of characters"}
    drawn = {"num_samples": len(texts), "samples": None, "seed": SEED, "length": length}
    settings = {"corpus": list(request.corpus), "least": list(copying.LEAST), **drawn}
    warnings, result = [*found.warnings, *notes], copying.to_result(found)
    return Made(found, request.seal("copying", result, units, settings, warnings, reads=False))


def make_compare(request: Request, _: Found) -> Steps[Made]:
    """Return what the model saves against n-grams."""
    text = request.need_text()
    yield memory.Progress("counting", 0, 1)
    found = compare.compare_ngram(request.stored, text, request.corpus, ORDER)
    pieces = [request.stored.tokenizer.pieces[int(i)] for i in found.ids[:PAINTED]]
    units = {"bits_a": "bits per token", "saved": "bits per token", "difference": "bits"}
    settings = {"b": None, "corpus": list(request.corpus), "order": ORDER}
    result = {**compare.to_result(found), "tokens": pieces}
    result["difference"] = result["difference"][:PAINTED]
    notes = [*found.warnings, *request.first(PAINTED)]
    return Made(found, request.seal("compare", result, units, settings, notes))


def make_memory(request: Request, _: Found) -> Steps[Made]:
    """Return how far back it looks."""
    num = request.budget.targets
    found = yield from drain(
        memory.measure_memory(request.stored, request.need_text(), num_targets=num, num_lags=LAGS)
    )
    assert isinstance(found, memory.Memory)
    units = {
        "delta": "bits per token",
        "horizon": "tokens",
        "gradients": "nats per unit of the state",
        "slope": "ln per token",
        "closers": "probability",
    }
    settings = {"versus": [], "older": "zeroed", "targets": num, "lags": LAGS}
    result = memory.to_result(found)
    return Made(found, request.seal("memory", result, units, settings, found.warnings))


def make_probe(request: Request, _: Found) -> Steps[Made]:
    """Return whether the state knows a label."""
    assert request.probe is not None
    parts = probe.load_parts(request.probe, None, None, SEED)
    found = yield from drain(probe.measure_probe(request.stored, parts, "c", SEED))
    settings = {"train": request.probe, "dev": None, "test": None, "state": "c", "seed": SEED}
    units = {"accuracy": "share of the test texts", "strength": "C"}
    result = probe.to_result(found)
    return Made(found, request.seal("probe", result, units, settings, reads=False))


def make_saliency(request: Request, _: Found) -> Steps[Made]:
    """Return which inputs mattered for one prediction, that which leans furthest back."""
    stored, text, back = request.stored, request.need_text(), request.budget.back
    yield memory.Progress("choosing", 0, 2)
    at = choose_target(stored, text)
    yield memory.Progress("", 1, 2)
    found = saliency.measure_saliency(stored, text, at, back, SEED)
    symbols = stored.tokenizer.pieces
    pieces = [symbols[int(i)] or "⟨s⟩" for i in text.ids[found.first : found.target]]
    target = symbols[int(text.ids[found.target])] or "⟨/s⟩"
    nats = ("log_p", "baseline", "grad_input", "integrated", "swap", "control")
    units = {**dict.fromkeys(nats, "nats"), "grad": "nats per unit of the input"}
    settings = {"at": at, "back": back, "seed": SEED}
    result = saliency.to_result(found, pieces, target)
    return Made(found, request.seal("saliency", result, units, settings))


def make_gates(request: Request, _: Found) -> Steps[Made]:
    """Return how often the gates are shut or open."""
    found = yield from drain(gates.measure_gates(request.stored, request.need_text()))
    keeps = gates.KEEPS[request.stored.config.cell_type]
    result = gates.to_result(found, keeps)
    return Made(found, request.seal("gates", result, gates.UNITS, {}, found.warnings))


def make_ablate(request: Request, _: Found) -> Steps[Made]:
    """Return what the text costs without each unit."""
    num = request.budget.units
    steps = ablate.measure_ablation(request.stored, request.need_text(), num, SEED)
    found = yield from drain(steps)
    units = dict.fromkeys(("estimate", "delta", "chance", "all_units"), "bits per token")
    settings = {"units": num, "seed": SEED}
    return Made(found, request.seal("ablate", ablate.to_result(found), units, settings))


def make_errors(request: Request, _: Found) -> Steps[Made]:
    """Return what would fix the errors."""
    text = request.need_text()
    yield memory.Progress("counting", 0, 1)
    found = errors.measure_errors(request.stored, text, request.corpus)
    units = {"share": "share of errors", "bits": "bits above one an error"}
    settings = {"corpus": list(request.corpus)}
    result = errors.to_result(found)
    return Made(found, request.seal("errors", result, units, settings, found.warnings))


def make_calibration(request: Request, _: Found) -> Steps[Made]:
    """Return whether its confidence can be believed."""
    text = request.need_text()
    yield memory.Progress("", 0, 1)
    found = calibration.measure_calibration(request.stored, text)
    units = {"ece": "probability", "accuracy": "probability", "saved": "bits per token"}
    result = calibration.to_result(found)
    return Made(found, request.seal("calibration", result, units, {}, found.warnings))


def make_embed(request: Request, _: Found) -> Steps[Made]:
    """Return the neighbours of symbols."""
    yield memory.Progress("", 0, 1)
    found = embed.measure_embedding(request.stored, (), NEIGHBOURS)
    settings = {"symbols": None, "neighbours": NEIGHBOURS}
    result = embed.to_result(found)
    return Made(found, request.seal("embed", result, embed.UNITS, settings, reads=False))


MAKERS: dict[str, Callable[[Request, Found], Steps[Made]]] = {
    "summary": make_summary,
    "curve": make_curve,
    "surprisal": make_surprisal,
    "cells": make_cells,
    "cell": make_units,
    "copying": make_copying,
    "memory": make_memory,
    "compare": make_compare,
    "probe": make_probe,
    "saliency": make_saliency,
    "gates": make_gates,
    "ablate": make_ablate,
    "errors": make_errors,
    "calibration": make_calibration,
    "embed": make_embed,
}  # in the order of the page
