"""The optimizer makes torch's updates, bit for bit, and loads nothing of its compiler."""

import subprocess
import sys

import pytest
import torch

from charrnn.adamw import BETAS, AdamW
from charrnn.rows import EPSILON


def parameters():
    generator = torch.Generator().manual_seed(3)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((5, 4), (4,))]


def run(optimizer, params, steps=6):
    generator = torch.Generator().manual_seed(7)
    for number in range(steps):
        optimizer.zero_grad()
        for index, parameter in enumerate(params):
            gradient = torch.randn(parameter.shape, generator=generator)
            parameter.grad = None if (number, index) == (0, 1) else gradient
        for group in optimizer.param_groups:
            group["lr"] = 0.01 * (number + 1)
        optimizer.step()
    return [parameter.detach().clone() for parameter in params]


def test_updates_and_moments_are_those_of_torch():
    ours, theirs = parameters(), parameters()
    mine = AdamW([(ours[:1], 0.3), (ours[1:], 0.0)], 0.5)
    groups = [
        {"params": theirs[:1], "weight_decay": 0.3},
        {"params": theirs[1:], "weight_decay": 0.0},
    ]
    reference = torch.optim.AdamW(groups, lr=0.5, betas=BETAS, eps=EPSILON, fused=True)
    for found, expected in zip(run(mine, ours), run(reference, theirs), strict=True):
        assert torch.equal(found, expected)
    for found, expected in zip(ours, theirs, strict=True):
        assert mine.state[found].keys() == reference.state[expected].keys()
        for moment, value in mine.state[found].items():
            assert torch.equal(value, reference.state[expected][moment])
    assert float(mine.state[ours[1]]["step"]) == 5  # its first gradient came late


@pytest.mark.slow
def test_a_training_and_a_view_load_nothing_of_torchs_compiler(tmp_path):
    (tmp_path / "text.txt").write_text("abc" * 200)
    code = (
        "import sys; from charrnn.cli import main\n"
        "try: main()\n"
        "finally: print('loaded', [n for n in ('torch._dynamo', 'sympy') if n in sys.modules])"
    )
    for command in (["train", "text.txt", "--max-steps", "3"], ["inspect", "gates"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "loaded []" in done.stdout, command
