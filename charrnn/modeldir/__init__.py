"""What a model directory is: its files, what they may hold, and how they belong together."""

from charrnn.modeldir.checkpoints import (
    Checkpoint,
    list_checkpoints,
    prune_checkpoints,
    read_newest_checkpoint,
    write_checkpoint,
)
from charrnn.modeldir.metrics import read_metrics, trim_metrics
from charrnn.modeldir.model import StoredModel, read_model, read_tokenizer, write_model
from charrnn.modeldir.options import (
    config_from_json,
    config_to_json,
    generation_from_json,
    generation_to_json,
)
from charrnn.modeldir.runs import (
    clear_run,
    document_of,
    find_model,
    is_charrnn_run,
    read_train_record,
    run_directory,
    write_train_record,
)
from charrnn.modeldir.shapes import weight_shapes

__all__ = [
    "Checkpoint",
    "StoredModel",
    "clear_run",
    "config_from_json",
    "config_to_json",
    "document_of",
    "find_model",
    "generation_from_json",
    "generation_to_json",
    "is_charrnn_run",
    "list_checkpoints",
    "prune_checkpoints",
    "read_metrics",
    "read_model",
    "read_newest_checkpoint",
    "read_tokenizer",
    "read_train_record",
    "run_directory",
    "trim_metrics",
    "weight_shapes",
    "write_checkpoint",
    "write_model",
    "write_train_record",
]
