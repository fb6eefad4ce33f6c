"""Options that were given and do not fit: refused where they contradict, else said to be useless.

Knows what the user said himself; a default never contradicts anything.
"""

from collections.abc import Set

from charrnn.config import TrainConfig
from charrnn.errors import ConfigError
from charrnn.request import RunRequest

NEEDS = {  # an option, and the choice that it is of
    "nonlinearity": ("cell", "rnn"),
    "pretokenized": ("level", "word"),
    "vocab_size": ("level", "word"),
    "min_count": ("level", "word"),
}


def check_request(request: RunRequest) -> None:
    """Raise ConfigError where what is asked for contradicts itself."""
    if request.resume and request.force:
        raise ConfigError("--resume and --force contradict each other: go on, or start anew?")
    if request.valid and "valid_frac" in request.given and request.config.valid_frac:
        raise ConfigError("--valid and --valid-frac contradict each other: give one held-out part")


def check_given(config: TrainConfig, given: Set[str]) -> None:
    """Raise ConfigError for the first of the `given` options that `config` has no use for."""
    for name, (choice, needed) in NEEDS.items():
        got = getattr(config, choice)
        if name in given and getattr(config, name) is not False and got != needed:
            raise ConfigError(f"{flag(name)} needs {flag(choice)} {needed}, got {got}")
    steps, warmup = config.max_steps, config.warmup_steps
    if steps is not None and warmup is not None and warmup > steps:
        raise ConfigError(
            f"--warmup-steps {warmup} is more than --max-steps {steps}: "
            "the learning rate would never reach its peak"
        )


def useless(config: TrainConfig, vocab_size: int, num_valid: int) -> list[str]:
    """Return what to say of options that change nothing with this text."""
    notes, samples = [], config.softmax_samples or 0
    if samples >= vocab_size:
        notes.append(
            f"--softmax-samples {samples} has no effect: there are {vocab_size} symbols in all"
        )
    if config.patience is not None and not num_valid:
        notes.append(f"--patience {config.patience} has no effect: nothing is held out")
    return notes


def flag(name: str) -> str:
    """Return the option of a field."""
    return "--" + name.replace("_", "-")
