"""memory: how far back does a network look? In bits, in closed brackets, and by the gradient.

Three answers: the horizon (charrnn.views.horizon), the probability of the closing bracket by its
distance (closers), and the gradient by lag (lags). The control of each is a network of the same
shape with the weights it began with, or n-grams, which see a few tokens only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.encoding import encode_text
from charrnn.modeldir import StoredModel
from charrnn.views.closers import Bin, measure_closers
from charrnn.views.envelope import Inspected, own_dataset
from charrnn.views.horizon import LENGTHS, Older, Point, horizon_of, measure_horizon
from charrnn.views.intervals import Interval, shown
from charrnn.views.lags import NUM_LAGS, Lags, longest_past, measure_lags
from charrnn.views.ngram import ngram_nats
from charrnn.views.places import choose_places

if TYPE_CHECKING:
    from charrnn.model import LanguageModel

NUM_TARGETS = 1024
CONTROL_SHARE = 4  # the control has a quarter of the targets
CONTROL_SEED = 1
OLDER: dict[str, Older] = {"zeroed": "zeroed", "swapped": "swapped"}


@dataclass(frozen=True)
class Progress:
    """How much of the work is done."""

    what: str
    done: int
    total: int


@dataclass(frozen=True)
class Gradients:
    """The gradients of one model by lag."""

    name: str
    cell_type: str
    parts: list[Lags]


@dataclass(frozen=True)
class Memory:
    """All three answers."""

    points: list[Point]
    horizon: int | None  # tokens; None: further than was looked
    control: list[Point]  # of the network before training
    bins: list[Bin]
    ngram: int | None  # the n of the n-gram beside the bins
    gradients: list[Gradients]  # of the model, the untrained control, then of those of --versus
    warnings: list[str]


def load_network(stored: StoredModel, *, untrained: bool = False) -> "LanguageModel":
    """Return the network, in eval mode; `untrained` with the weights of a beginning."""
    from charrnn.model import LanguageModel

    model = LanguageModel(stored.config)
    if untrained:
        model.reset(CONTROL_SEED)
    else:
        model.load_weights(stored.weights)
    return model.eval().requires_grad_(False)


def measure_memory(
    stored: StoredModel,
    text: Inspected,
    versus: Sequence[StoredModel] = (),
    *,
    older: Older = "zeroed",
    num_targets: int = NUM_TARGETS,
    num_lags: int = NUM_LAGS,
) -> Iterator[Progress | Memory]:
    """Yield how far it is, then the result. Raises CorpusError for a text of one token."""
    total = 2 * len(LENGTHS) + 3 + len(versus)
    done = 0
    curves: list[list[Point]] = []
    before = min(max(LENGTHS), longest_past(text) // 2)
    for untrained in (False, True):
        num = num_targets // CONTROL_SHARE if untrained else num_targets
        places = choose_places(text, max(1, num), before)
        model, points = load_network(stored, untrained=untrained), []
        for point in measure_horizon(model, text, places, older):
            points.append(point)
            done += 1
            yield Progress("horizon", done, total)
        curves.append(points)
    bins, order, warnings = closing(stored, text)
    done += 1
    yield Progress("gradient", done, total)
    gradients = []
    for name, one, untrained in models_of(stored, versus):
        own = text if one is stored else translated(stored, text, one)
        network = load_network(one, untrained=untrained)
        lags = measure_lags(network, own, num_lags)
        gradients.append(Gradients(name, one.config.cell_type, lags))
        done += 1
        yield Progress("gradient", done, total)
    if before < max(LENGTHS):
        warnings.append(f"the text is short: targets have {before} tokens or more before them")
    points = curves[0]
    yield Memory(points, horizon_of(points, before), curves[1], bins, order, gradients, warnings)


def models_of(
    stored: StoredModel, versus: Sequence[StoredModel]
) -> list[tuple[str, StoredModel, bool]]:
    """Return the name of each model on the plot of gradients, and whether it is untrained."""
    name = stored.path.name
    others = [(other.path.name, other, False) for other in versus]
    return [(name, stored, False), ("untrained", stored, True), *others]


def translated(stored: StoredModel, text: Inspected, other: StoredModel) -> Inspected:
    """Return `text` as another model reads it: what it does not know is left out."""
    if other.tokenizer.fingerprint == stored.tokenizer.fingerprint:
        return text
    whole = stored.tokenizer.decode(np.asarray(text.ids).tolist())
    bos_id = other.tokenizer.bos_id
    found = encode_text(other.tokenizer, whole, "stream" if bos_id is None else "file")
    return Inspected(found.ids, bos_id, found.num_unknown, text.path, text.sha256, text.part)


def closing(stored: StoredModel, text: Inspected) -> tuple[list[Bin], int | None, list[str]]:
    """Return p of closers by distance, the n of the n-gram beside it, and what to know of it."""
    from charrnn.evaluate import surprisals

    pieces = [stored.tokenizer.pieces[int(i)] for i in text.ids]
    nats = surprisals(load_network(stored), text.ids, text.bos_id)
    dataset = own_dataset(stored)
    if dataset is None:
        warning = "the model's training text is not there: no n-gram beside the brackets"
        return measure_closers(pieces, nats, None), None, [warning]
    order, ngram = ngram_nats(dataset.train, text.ids, len(stored.tokenizer))
    return measure_closers(pieces, nats, ngram), order, []


def looks_beyond(found: Memory) -> bool:
    """Return whether what is older than all that was tried is surely worth something."""
    return found.horizon is None and found.points[-1].delta.low > 0


def sentence(found: Memory) -> str:
    """Return what the numbers say, in one sentence, and its caveat."""
    first, last = found.points[0].delta, found.points[-1].n
    if found.horizon is not None:
        text = f"All that lies more than {found.horizon} tokens back is worth under 0.01 bit to it"
    elif looks_beyond(found):
        text = f"What lies more than {last} tokens back is still worth something to it"
    else:
        text = "How far back it looks cannot be told from so little text"
    text += f"; all it read is worth {shown(first, '{:.2f}')} bits a token"
    state = found.gradients[0].parts[-1]
    if state.reach is not None:
        text += f", and its gradient in {state.part} falls under 1% at lag {state.reach}"
        text += reach_ends(state)
    return text + ". A mean over all tokens: rare ones may look back further."


def reach_ends(lags: Lags) -> str:
    """Return the ends of the interval of the reach; "or more" where that is further than seen."""
    if lags.reach_ends is None:
        return ""
    low, high = lags.reach_ends
    return f" [{low}, {high}]" if high is not None else f" [{low} or more]"


def to_result(found: Memory) -> dict[str, Any]:
    """Return the numbers as JSON holds them."""

    def curve(points: Sequence[Point]) -> list[dict[str, Any]]:
        return [{"n": point.n, "delta": point.delta._asdict()} for point in points]

    def named(interval: Interval | None) -> dict[str, float] | None:
        return None if interval is None else interval._asdict()

    closers = [
        {**asdict(one), "model": named(one.model), "ngram": named(one.ngram)} for one in found.bins
    ]
    gradients = [
        {
            "name": one.name,
            "cell_type": one.cell_type,
            "parts": [
                {
                    **vars(part),
                    "gradients": [named(value) for value in part.gradients],
                    "slope": named(part.slope),
                }
                for part in one.parts
            ],
        }
        for one in found.gradients
    ]
    return {
        "horizon": found.horizon,
        "points": curve(found.points),
        "control": curve(found.control),
        "closers": closers,
        "ngram": found.ngram,
        "gradients": gradients,
        "sentence": sentence(found),
    }
