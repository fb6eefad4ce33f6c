"""One number of every unit after every token, kept on disk unit by unit: memory stays small."""

from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from charrnn.config import ModelConfig
from charrnn.encoding import Ids
from charrnn.errors import ConfigError
from charrnn.store import ArraySpool
from charrnn.views.states import run_states, unit_signals

if TYPE_CHECKING:
    from charrnn.model import LanguageModel

BLOCK_UNITS = 64  # whose numbers lie together
LARGE = 1 << 28  # numbers; more of them are kept in half precision

Array = NDArray[np.float32]


def main_signal(cell_type: str) -> str:
    """Return the letter of what a unit remembers: its cell c, or h where there is none."""
    return "c" if "c" in unit_signals(cell_type) else "h"


def parse_unit(name: str, config: ModelConfig) -> tuple[str, int, int]:
    """Return (signal, layer, unit) of a name such as c:0:17; raise ConfigError for no such unit."""
    signals = unit_signals(config.cell_type)
    parts = name.split(":")
    if len(parts) == 3 and parts[0] in signals and all(p.isdecimal() for p in parts[1:]):
        layer, unit = int(parts[1]), int(parts[2])
        if layer < config.num_layers and unit < config.hidden_size:
            return parts[0], layer, unit
    raise ConfigError(
        f"unit {name!r} is not there: needs {'|'.join(signals)}:LAYER:UNIT, with a layer under "
        f"{config.num_layers} and a unit under {config.hidden_size}"
    )


class Activations:
    """The numbers (N, D) of D units over N tokens; `names` says which units."""

    def __init__(self, names: Sequence[str], num_tokens: int) -> None:
        self.names, self.num_tokens = list(names), num_tokens
        dtype = np.float16 if len(names) * num_tokens > LARGE else np.float32
        self._spools = [ArraySpool(dtype) for _ in range(0, len(names), BLOCK_UNITS)]
        self._views: list[NDArray[np.generic]] = []

    def append(self, values: Array) -> None:
        """Add the numbers (n, D) of the next tokens."""
        for index, spool in enumerate(self._spools):
            spool.append(values[:, index * BLOCK_UNITS : (index + 1) * BLOCK_UNITS])

    def _block(self, index: int) -> NDArray[np.generic]:
        if not self._views:
            self._views = [spool.view() for spool in self._spools]
        return self._views[index].reshape(self.num_tokens, -1)

    def blocks(self, part: slice) -> Iterator[tuple[int, Array]]:
        """Yield, for a few units at a time, the index of the first and their numbers (U, n)."""
        for index in range(len(self._spools)):
            block = self._block(index)[part]
            yield index * BLOCK_UNITS, np.ascontiguousarray(block.T, dtype=np.float32)

    def unit(self, index: int, part: slice) -> Array:
        """Return the numbers (n,) of one unit."""
        block = self._block(index // BLOCK_UNITS)
        return np.asarray(block[part, index % BLOCK_UNITS], np.float32)

    def matrix(self, rows: NDArray[np.int64]) -> Array:
        """Return the numbers (n, D) of all units after the tokens `rows`."""
        return np.concatenate(
            [np.asarray(self._block(i)[rows], np.float32) for i in range(len(self._spools))], axis=1
        )


def record(
    network: "LanguageModel", ids: Ids, bos_id: int | None = None
) -> Generator[int, None, Activations]:
    """Yield how many tokens are read; return what each unit of all layers remembers after each."""
    config = network.config
    signal = main_signal(config.cell_type)
    names = [
        f"{signal}:{x}:{u}" for x in range(config.num_layers) for u in range(config.hidden_size)
    ]
    found = Activations(names, len(ids))
    for section in run_states(network, ids, bos_id):
        found.append(np.concatenate([layer[signal] for layer in section.layers], axis=1))
        yield section.stop
    return found
