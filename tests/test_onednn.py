"""Weights that are laid out once: the same products, and asked for before they are used."""

import pytest
import torch

from charrnn import onednn


@pytest.fixture(autouse=True)
def asked_anew():
    onednn.is_possible.cache_clear()
    yield
    onednn.is_possible.cache_clear()


@pytest.mark.skipif(not onednn.is_possible(), reason="needs bfloat16 units and oneDNN")
def test_products_with_laid_out_weights_are_the_products():
    generator = torch.Generator().manual_seed(2)
    rows, weights = (
        torch.randn(size, 96, generator=generator).to(torch.bfloat16) for size in (9, 50)
    )
    summand = torch.randn(9, 50, generator=generator).to(torch.bfloat16)
    laid, exact = onednn.lay_out(weights, 9), rows.float() @ weights.float().t()
    found, more = onednn.product(rows, laid), onednn.product_and_sum(rows, laid, summand)
    assert found.dtype == more.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), exact, rtol=0.01, atol=0.01)
    biased = onednn.product(rows, laid, summand[0]).float()
    torch.testing.assert_close(biased, exact + summand[0].float(), rtol=0.01, atol=0.02)
    torch.testing.assert_close(more.float(), exact + summand.float(), rtol=0.01, atol=0.02)


@pytest.mark.parametrize("error", [RuntimeError, AttributeError, NotImplementedError, TypeError])
@pytest.mark.parametrize("name", ["lay_out", "product", "product_and_sum"])
def test_without_one_of_the_operators_it_is_not_possible(name, error, monkeypatch):
    def refuse(*arguments):
        raise error("another signature")

    monkeypatch.setattr(onednn, "cpu_multiplies_bf16", lambda: True)
    monkeypatch.setattr(onednn, name, refuse)
    assert not onednn.is_possible()


def test_without_the_hardware_nothing_is_tried(monkeypatch):
    monkeypatch.setattr(onednn, "cpu_multiplies_bf16", lambda: False)
    monkeypatch.setattr(onednn, "lay_out", None)
    assert not onednn.is_possible()
