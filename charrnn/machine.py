"""What this machine offers to a run: devices, number formats and threads."""

import os
import warnings
from dataclasses import replace

import torch

from charrnn.config import TrainConfig
from charrnn.cores import num_ranks, num_usable_cores
from charrnn.errors import ConfigError, DeviceError

BF16_CAPABILITY = (8, 0)  # of the first GPUs that multiply bfloat16
CUBLAS_WORKSPACE = ":16:8"  # without a fixed one torch refuses products, and cuDNN's LSTM varies


def choose_device(wanted: str) -> str:
    """Return "cpu" or "cuda:N" for the option --device; raise DeviceError where it is not there."""
    if wanted == "auto":
        return "cuda:0" if torch.cuda.is_available() and computes("cuda:0") else "cpu"
    kind, _, index = wanted.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdecimal()) or wanted.endswith(":"):
        raise ConfigError(f"device is {wanted!r}: needs auto, cpu, cuda or cuda:N")
    if kind == "cpu":
        return "cpu"
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(index or 0) >= found:
        raise DeviceError(f"device {wanted} is not there: this machine has {found} CUDA devices")
    return f"cuda:{int(index or 0)}"


def computes(device: str) -> bool:
    """Return whether torch has kernels for a GPU: of old ones it only says that they are there."""
    try:
        return bool(torch.ones(1, device=device).add_(1).item() == 2)
    except RuntimeError:
        return False


def own_device(device: str) -> str:
    """Return what of the run's `device` is this process's: torchrun gives each its own GPU.

    Raises DeviceError where there are fewer GPUs than processes.
    """
    if device == "cpu" or num_ranks() == 1:
        return device
    return choose_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")


def choose_precision(wanted: str, device: str) -> str:
    """Return "fp32", "bf16" or "fp16" for the option --precision."""
    if wanted == "fp16" and device == "cpu":
        raise ConfigError("precision fp16 needs a CUDA device: on a CPU use bf16 or fp32")
    if wanted != "auto":
        return wanted
    if device == "cpu":
        return "bf16" if cpu_multiplies_bf16() else "fp32"
    return "bf16" if torch.cuda.get_device_capability(device) >= BF16_CAPABILITY else "fp16"


def cpu_multiplies_bf16() -> bool:
    """Return whether this CPU multiplies bfloat16 in hardware (AMX, or AVX-512 with BF16)."""
    probes = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(bool(getattr(torch.cpu, probe, bool)()) for probe in probes)


def settle_machine(config: TrainConfig) -> TrainConfig:
    """Return `config` with device, precision and threads chosen, and set torch up for them."""
    device = own_device(choose_device(config.device))
    precision = choose_precision(config.precision, device)
    threads = config.threads or num_usable_cores()
    config = replace(config, device=device, precision=precision, threads=threads)  # type: ignore[arg-type]
    set_up_torch(config)
    return config


def set_up_torch(config: TrainConfig) -> None:
    """Let torch run as a settled `config` says."""
    torch.set_num_threads(config.threads or 1)
    if config.device != "cpu":
        torch.cuda.set_device(config.device)  # pinned memory, say, belongs to the one that is set
        torch.backends.cudnn.allow_tf32 = False  # float32 is float32; bfloat16 is for speed
        warnings.filterwarnings("ignore", "RNN module weights are not part")  # they are copied
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", CUBLAS_WORKSPACE)
        torch.use_deterministic_algorithms(True)
