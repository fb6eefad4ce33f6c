"""config.json and generation_config.json <-> ModelConfig and SampleConfig, key by key."""

from dataclasses import asdict, fields
from typing import Any

from charrnn import __version__, strictjson
from charrnn.config import FORMAT_VERSION, ModelConfig, SampleConfig
from charrnn.errors import ConfigError, ModelError
from charrnn.strictjson import shown

MODEL_TYPE = "charrnn"
RENAMED = {"num_layers": "num_hidden_layers", "tie_weights": "tie_word_embeddings"}
KEYS = {field.name: RENAMED.get(field.name, field.name) for field in fields(ModelConfig)}
OPTIONAL = {"document": str}  # where it was not said
_KINDS: dict[str, type] = {"cell_type": str, "nonlinearity": str, "tie_weights": bool}


def config_to_json(config: ModelConfig) -> bytes:
    """Return config.json: the network's options by the names other libraries use."""
    options = {KEYS[name]: value for name, value in asdict(config).items() if value is not None}
    return strictjson.dumps({"model_type": MODEL_TYPE, "format_version": FORMAT_VERSION, **options})


def config_from_json(data: bytes, name: str) -> ModelConfig:
    """Return the network's options.

    Raises ModelError, starting with `name`, for another kind of model, a newer format, and any key,
    type or range that is not the format's.
    """
    value = strictjson.loads(data, name)
    check_kind(value, name)
    kinds: dict[str, Any] = {
        "model_type": str,
        "format_version": int,
        **{KEYS[key]: _KINDS.get(key, int) for key in KEYS if key not in OPTIONAL},
    }
    strictjson.check_object(value, name, kinds, OPTIONAL)
    try:
        return ModelConfig(**{key: value[KEYS[key]] for key in KEYS if KEYS[key] in value})
    except ConfigError as error:
        raise ModelError(f"{name}: {str(error)[:200]}") from None


def check_kind(value: Any, name: str) -> None:
    """Raise ModelError unless `value` is an object of a charrnn of this format or an older one."""
    if not isinstance(value, dict) or value.get("model_type") != MODEL_TYPE:
        kind = shown(value.get("model_type")) if isinstance(value, dict) else shown(value)
        raise ModelError(f"{name}: model_type {kind}: needs {MODEL_TYPE!r}")
    version = value.get("format_version")
    if type(version) is not int or version < 1:
        raise ModelError(f"{name}: format_version {shown(version)}: needs {FORMAT_VERSION}")
    if version > FORMAT_VERSION:
        raise ModelError(
            f"{name}: format_version {shown(version)} needs a newer charrnn: "
            f"{__version__} knows {FORMAT_VERSION}"
        )


def generation_to_json(config: SampleConfig) -> bytes:
    """Return generation_config.json, which users may edit."""
    return strictjson.dumps(asdict(config))


def generation_from_json(data: bytes, name: str) -> SampleConfig:
    """Return the sampling defaults; a key that is left out has charrnn's own.

    Raises ModelError, starting with `name`, for an unknown key, a wrong type or range.
    """
    kinds: dict[str, Any] = {item.name: type(item.default) for item in fields(SampleConfig)}
    value = strictjson.check_object(strictjson.loads(data, name), name, {}, kinds)
    try:
        return SampleConfig(**{key: kinds[key](item) for key, item in value.items()})
    except (ConfigError, OverflowError) as error:
        raise ModelError(f"{name}: {str(error)[:200]}") from None
