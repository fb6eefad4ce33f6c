"""The one prediction of a text that is worth a look: that which leans most on what is far back."""

import numpy as np

from charrnn.modeldir import StoredModel
from charrnn.views.envelope import Inspected
from charrnn.views.horizon import nats_after
from charrnn.views.lags import longest_past
from charrnn.views.memory import load_network
from charrnn.views.places import choose_places

NUM_TARGETS, BEFORE = 256, 100
NEAR, FAR = 12, 256  # tokens


def choose_target(stored: StoredModel, text: Inspected) -> int:
    """Return the token, of 256, whose loss grows most when only the 12 before it are read.

    It must be likely (p over a half) when more is read. Raises CorpusError for a text of one token.
    """
    before = min(BEFORE, longest_past(text) // 2)
    places = choose_places(text, NUM_TARGETS, before)
    network = load_network(stored)
    near, far = (nats_after(network, text.ids, places, n, None) for n in (NEAR, FAR))
    gains = np.where(far < np.log(2), near - far, -np.inf)
    best = int(np.argmax(gains if np.isfinite(gains).any() else near - far))
    return int(places.targets[best])
