"""Devices, number formats and threads: what is chosen, and what is refused."""

import os

import pytest
import torch

from charrnn import machine
from charrnn.config import TrainConfig
from charrnn.errors import ConfigError, DeviceError
from charrnn.machine import choose_device, choose_precision, own_device, settle_machine


@pytest.fixture
def gpus(monkeypatch):
    """A function that lets the machine have so many CUDA devices."""

    def have(count):
        monkeypatch.setattr(machine, "computes", lambda device: True)
        monkeypatch.setattr("torch.cuda.is_available", lambda: count > 0)
        monkeypatch.setattr("torch.cuda.device_count", lambda: count)

    return have


def test_cuda_is_used_when_it_is_there(gpus):
    gpus(0)
    assert choose_device("auto") == "cpu"
    gpus(2)
    assert choose_device("auto") == choose_device("cuda") == "cuda:0"
    assert choose_device("cuda:1") == "cuda:1"
    assert choose_device("cpu") == "cpu"


def test_a_gpu_that_torch_has_no_kernels_for_is_not_chosen(monkeypatch):
    def refuse(*size, device):
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device")

    assert machine.computes("cpu")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", refuse)
    assert choose_device("auto") == "cpu"


def test_a_device_that_is_not_there_is_told_from_one_that_is_none(gpus):
    gpus(2)
    with pytest.raises(DeviceError, match="device cuda:2 is not there: this machine has 2 CUDA"):
        choose_device("cuda:2")
    for wrong in ("", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:0:1", "CUDA"):
        with pytest.raises(ConfigError, match="needs auto, cpu, cuda or cuda:N"):
            choose_device(wrong)
    gpus(0)
    with pytest.raises(DeviceError, match="has 0 CUDA devices"):
        choose_device("cuda")


@pytest.mark.parametrize("in_hardware", [True, False])
def test_bfloat16_is_chosen_where_the_hardware_multiplies_it(monkeypatch, in_hardware):
    monkeypatch.setattr(machine, "cpu_multiplies_bf16", lambda: in_hardware)
    assert choose_precision("auto", "cpu") == ("bf16" if in_hardware else "fp32")


@pytest.mark.parametrize(
    ("capability", "precision"), [((7, 5), "fp16"), ((8, 0), "bf16"), ((12, 0), "bf16")]
)
def test_the_gpu_that_is_chosen_says_what_it_multiplies(monkeypatch, capability, precision):
    """torch says that each can, but some by float32."""
    found = {"cuda:0": (7, 0), "cuda:1": capability}
    monkeypatch.setattr("torch.cuda.get_device_capability", found.get)
    assert choose_precision("auto", "cuda:1") == precision


def test_a_precision_that_is_asked_for_is_taken_but_for_fp16_on_a_cpu():
    for wanted in ("fp32", "bf16"):
        assert choose_precision(wanted, "cpu") == wanted
    assert choose_precision("fp16", "cuda:0") == "fp16"
    with pytest.raises(ConfigError, match="precision fp16 needs a CUDA device"):
        choose_precision("fp16", "cpu")


@pytest.mark.parametrize("probe", ["_is_amx_tile_supported", "_is_avx512_bf16_supported"])
def test_one_kind_of_unit_is_enough(monkeypatch, probe):
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda name=name: name == probe, raising=False)
    assert machine.cpu_multiplies_bf16()
    monkeypatch.setattr(torch.cpu, probe, lambda: False)
    assert not machine.cpu_multiplies_bf16()


def test_the_threads_asked_for_are_set_else_those_of_the_cores(monkeypatch):
    before = torch.get_num_threads()
    set_to = []
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    monkeypatch.setattr(machine, "num_usable_cores", lambda: 7)
    assert settle_machine(TrainConfig(threads=3, device="cpu")).threads == 3
    settled = settle_machine(TrainConfig(device="cpu", precision="fp32"))
    assert (settled.threads, settled.device, settled.precision) == (7, "cpu", "fp32")
    assert set_to == [3, 7]
    assert torch.get_num_threads() == before


def test_a_deterministic_run_asks_cublas_for_a_fixed_workspace(monkeypatch):
    """Without one torch refuses matrix products on a GPU; what the user says stays."""
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    monkeypatch.setattr(torch, "use_deterministic_algorithms", asked.append)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    settle_machine(TrainConfig(device="cpu"))
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    settle_machine(TrainConfig(device="cpu", deterministic=True))
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] in (":16:8", ":4096:8")
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:2:16:8")
    settle_machine(TrainConfig(device="cpu", deterministic=True))
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:2:16:8"
    assert asked == [True, True]


def test_a_gpu_is_set_so_that_nothing_is_kept_on_another(gpus, monkeypatch):
    gpus(3)
    set_to = []
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    monkeypatch.setattr(torch.cuda, "set_device", set_to.append)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    settle_machine(TrainConfig(device="cpu"))
    assert torch.backends.cudnn.allow_tf32
    settle_machine(TrainConfig(device="cuda:2", precision="bf16"))
    assert set_to == ["cuda:2"]
    assert not torch.backends.cudnn.allow_tf32


def test_each_rank_has_a_gpu_of_its_own_or_says_that_there_are_too_few(gpus, monkeypatch):
    gpus(2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert own_device("cuda:0") == "cuda:0"
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert own_device("cpu") == "cpu"
    assert own_device("cuda:0") == "cuda:1"
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(DeviceError, match="cuda:2 is not there: this machine has 2 CUDA devices"):
        own_device("cuda:0")
