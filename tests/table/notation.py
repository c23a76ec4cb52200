"""Short words for the arguments of calls written by hand."""

from __future__ import annotations

from typing import Any

import torch

Call = tuple[list[Any], dict[str, Any]]


def c(*args: Any, **kwargs: Any) -> Call:
    """One call."""
    return list(args), kwargs


def t(data: Any, dtype: torch.dtype = torch.float64, grad: bool = True) -> torch.Tensor:
    """A tensor of these values, in the graph where its dtype allows."""
    return torch.tensor(data, dtype=dtype, requires_grad=grad and dtype.is_floating_point)


def real(*shape: int, grad: bool = True) -> torch.Tensor:
    """Normal numbers with three decimals, in the graph."""
    return torch.randn(shape, dtype=torch.float64).mul(1000).round().div(1000).requires_grad_(grad)


def positive(*shape: int, grad: bool = True) -> torch.Tensor:
    """Numbers in (0.05, 0.95)."""
    return (
        (torch.rand(shape, dtype=torch.float64) * 0.9 + 0.05).mul(1000).round().div(1000).requires_grad_(grad)
    )


def ints(*data: Any) -> torch.Tensor:
    """An int64 tensor, of a list or of several numbers."""
    return torch.tensor(
        data[0] if len(data) == 1 and isinstance(data[0], list) else list(data), dtype=torch.int64
    )


def mask(*data: Any) -> torch.Tensor:
    return torch.tensor(
        data[0] if len(data) == 1 and isinstance(data[0], list) else list(data), dtype=torch.bool
    )


def transposed(*shape: int) -> torch.Tensor:
    """The same shape, laid out column by column."""
    return real(*shape[::-1], grad=False).permute(*range(len(shape) - 1, -1, -1)).requires_grad_()


def strided(count: int) -> torch.Tensor:
    """Every second element of a longer vector."""
    return real(2 * count, grad=False)[::2].requires_grad_()
