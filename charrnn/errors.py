"""Mistakes of a user and failures of a machine; the command line prints each on one line.

* CharRNNError           exit code 2, a wrong option or input
  - ConfigError          an option is out of its range, or contradicts another
  - CorpusError          the text cannot be used
  - TokenizerError       the text and the vocabulary do not fit together
  - FailureError         exit code 1, it failed while running
    - ModelError         a model or checkpoint is missing a part, damaged, or of another format
    - StoreError         a file cannot be read or written
    - BusyError          another process is writing the same directory
    - DivergedError      the loss or the gradient is no longer a finite number
    - DeviceError        the device is not there, or too small
    - PeerError          another process of the same run is gone, or has other weights
"""


class CharRNNError(Exception):
    """Base class: catch this to catch every error charrnn raises on purpose."""

    exit_code = 2


class ConfigError(CharRNNError):
    """An option is out of its range, or contradicts another."""


class CorpusError(CharRNNError):
    """The text cannot be used."""


class TokenizerError(CharRNNError):
    """The text and the vocabulary do not fit together."""


class FailureError(CharRNNError):
    """The command was right, and something failed while it ran."""

    exit_code = 1


class ModelError(FailureError):
    """A model or checkpoint is missing a part, damaged, or of another format."""


class StoreError(FailureError):
    """A file cannot be read or written."""


class BusyError(FailureError):
    """Another process is writing the same directory."""


class DivergedError(FailureError):
    """The loss or the gradient is no longer a finite number."""


class DeviceError(FailureError):
    """The device asked for is not there, or too small."""


class PeerError(FailureError):
    """Another process of the same run is gone, or has other weights."""
