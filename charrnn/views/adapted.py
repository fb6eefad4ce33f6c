"""The loss of a text by dynamic evaluation, beside its static loss: `surprisal --adapt`."""

from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.modeldir import StoredModel
from charrnn.views.envelope import Inspected
from charrnn.views.telling import Told, untold

if TYPE_CHECKING:
    from charrnn.adapting import Adaptation
    from charrnn.evaluate import Evaluation


def measure_adapted(
    stored: StoredModel, text: Inspected, how: "Adaptation | None" = None, told: Told = untold
) -> "Evaluation":
    """Return the sums over `text` under weights that follow it; `stored` stays as it is."""
    from charrnn.adapting import adapted_nats
    from charrnn.evaluate import Evaluation
    from charrnn.model import LanguageModel

    model = LanguageModel(stored.config)
    model.load_weights(stored.weights)
    nats, num_tokens = 0.0, 0
    counts = np.zeros(len(stored.tokenizer), np.int64)
    for positions, found in adapted_nats(model, text.ids, text.bos_id, how):
        nats += float(found.sum())
        num_tokens += len(found)
        counts += np.bincount(np.asarray(text.ids[positions]), minlength=len(counts))
        told("adapting", int(positions[-1]), len(text.ids) - 1)
    sizes = stored.tokenizer.token_chars(), stored.tokenizer.token_bytes()
    chars, num_bytes = (int(counts @ size) for size in sizes)
    return Evaluation(nats, num_tokens, chars, num_bytes, text.num_unknown)


def to_result(found: "Evaluation", static: float) -> dict[str, Any]:
    """Return the numbers as JSON holds them; `static` is the loss under weights that stay."""
    return {
        "loss": found.loss,
        "bits_per_char": found.bits_per_char,
        "bits_per_byte": found.bits_per_byte,
        "perplexity": found.perplexity,
        "gain": static - found.loss,
        "sentence": sentence(found, static),
    }


def sentence(found: "Evaluation", static: float) -> str:
    """Return what the numbers say, in one sentence, with its caveat."""
    gain = static - found.loss
    judged = f"{abs(gain):.4f} {'less' if gain > 0 else 'more'} than"
    return (
        f"Under weights that follow the text as they read it (dynamic evaluation) the loss is "
        f"{found.loss:.4f} nats per token ({found.bits_per_char:.4f} bits per character), {judged} "
        "as trained; it is not comparable with a static loss."
    )
