"""The files of a model directory by name, each a regular file of its own: never a link."""

from pathlib import Path

from charrnn.errors import ModelError, StoreError
from charrnn.store import read_file

CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
WEIGHTS = "model.safetensors"
GENERATION = "generation_config.json"
TRAIN = "train.json"
METRICS = "metrics.jsonl"
CARD = "README.md"
CHECKPOINTS = "checkpoints"

OPTIONS_LIMIT = 2**16  # bytes of config.json and generation_config.json
RECORD_LIMIT = 2**26  # of train.json, which names every file of a corpus
TOKENIZER_LIMIT = 2**28


def read_part(path: Path, limit: int) -> bytes:
    """Return the bytes of the file `path` of a model directory; it may have `limit` at most.

    Raises ModelError, naming it, where it is missing, unreadable or not a regular file.
    """
    try:
        return read_file(path, limit=limit, follow=False)
    except StoreError as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            raise ModelError(
                f"{path.parent} has no {path.name}: needs a model's directory"
            ) from None
        raise ModelError(str(error)) from error
