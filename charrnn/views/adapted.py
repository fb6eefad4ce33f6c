"""The loss of a text by dynamic evaluation, beside its static loss: `surprisal --adapt`."""

from typing import TYPE_CHECKING

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
