"""Character, byte and word language models with recurrent networks.

    import charrnn

    for report in charrnn.train("shakespeare.txt", max_time=60):
        ...
    model = charrnn.load("runs/shakespeare")
    print(model.sample("ROMEO:", temperature=0.8, length=300, seed=1))
    print(model.score("To be, or not to be").bits_per_char)

Importing the package does not import torch; what needs it does. Read the modules in the order in
which the data flows: corpus, documents, tokenizer, dataset, batches, cells, model, evaluate,
trainer, loop, run, stepper, sampler, api, views, display, cli.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from charrnn.api import Model, load, train
    from charrnn.errors import CharRNNError

__version__ = "0.1.0"
__all__ = ["CharRNNError", "Model", "load", "train"]

_HOMES = {"CharRNNError": "errors", "Model": "api", "load": "api", "train": "api"}


def __getattr__(name: str) -> object:
    """Import what is public when it is first asked for."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'charrnn' has no attribute {name!r}")
    return getattr(import_module(f"charrnn.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
