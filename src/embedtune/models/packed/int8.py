"""One layer of BERT with its products in int8: each token and each column of weights has a scale of its own.

Nothing has to be calibrated. What goes into a product after a layer norm is smoothed first
(SmoothQuant, https://arxiv.org/abs/2211.10438, equation 4 with alpha 0.5), with the size of each
column taken from the norm's own factor and shift instead of sample texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from embedtune.errors import MissingPackageError
from embedtune.models.packed.kernels import CompiledKernels, compiled_kernels
from embedtune.models.packed.layers import Affine, Attention, LayerWeights, Norm
from embedtune.models.packed.texts import PackedTexts

__all__ = ["Int8Layer", "Quantised", "int8_layers", "smoothing"]

_DEVIATIONS = 3.0


class Quantised(NamedTuple):
    """A matrix in bfloat16, and the same in int8 with a scale for each row."""

    value: Tensor
    scaled: Tensor
    scales: Tensor


class _Int8Product:
    """x → x Wᵀ + b; column j of the result is int32 sums · row scale · column_scales[j] + bias[j]."""

    def __init__(self, affine: Affine, smooth: Tensor | None) -> None:
        weight = affine.weight if smooth is None else affine.weight / smooth
        self.column_scales = (weight.abs().amax(dim=1) / 127).clamp_(min=1e-12)
        scaled = (weight / self.column_scales[:, None]).round_().clamp_(-127, 127).to(torch.int8)
        self.weight = scaled.t()
        self.column_sums = scaled.sum(dim=1, dtype=torch.float32)
        self.bias = affine.bias.float().contiguous()

    def sums(self, scaled: Tensor) -> Tensor:
        """Returns the int32 product of (rows, in) int8."""
        return torch._int_mm(scaled, self.weight)


def int8_layers(incoming: Norm, layers: Sequence[LayerWeights]) -> list[Int8Layer]:
    """Returns the layers in int8; `incoming` is the norm before the first."""
    norms = [incoming, *(layer.output_norm for layer in layers)]
    smooth = [smoothing(norm, layer.qkv) for norm, layer in zip(norms, layers, strict=False)]
    return [Int8Layer(layer, *pair) for layer, pair in zip(layers, pairwise([*smooth, None]), strict=True)]


class Int8Layer:
    """A layer in int8; its input is smoothed by `own`, its output by what the layer after it wants."""

    def __init__(self, weights: LayerWeights, own: Tensor | None, following: Tensor | None) -> None:
        self.own, self.following = own, following
        self.up_smoothing = smoothing(weights.attention_norm, weights.up)
        self.qkv = _Int8Product(weights.qkv, own)
        self.out = _Int8Product(weights.out, None)
        self.up = _Int8Product(weights.up, self.up_smoothing)
        self.down = _Int8Product(weights.down, None)
        self.attention_norm, self.output_norm = weights.attention_norm, weights.output_norm

    def __call__(self, x: Quantised | Tensor, texts: PackedTexts, attend: Attention) -> Quantised:
        """Returns the layer's output, quantised for the layer after it; the first layer takes bfloat16."""
        kernels = _kernels()
        if isinstance(x, Tensor):
            x = Quantised(x, *kernels.quantise(x, self.own))
        qkv = kernels.dequantise(self.qkv.sums(x.scaled), x.scales, self.qkv.column_scales, self.qkv.bias)
        mixed, scales = kernels.quantise(attend(qkv, texts), None)
        x = self._norm(self.out, mixed, scales, x.value, self.attention_norm, self.up_smoothing, after_gelu=False)
        grown, scales = kernels.gelu(self.up.sums(x.scaled), x.scales, self.up.column_scales, self.up.bias)
        return self._norm(self.down, grown, scales, x.value, self.output_norm, self.following, after_gelu=True)

    def _norm(
        self,
        product: _Int8Product,
        scaled: Tensor,
        scales: Tensor,
        residual: Tensor,
        norm: Norm,
        smooth: Tensor | None,
        *,
        after_gelu: bool,
    ) -> Quantised:
        column_sums = product.column_sums if after_gelu else None
        meaning = (product.sums(scaled), scales, product.column_scales, column_sums, product.bias)
        return Quantised(*_kernels().norm(*meaning, residual, norm, smooth))


def _kernels() -> CompiledKernels:
    kernels = compiled_kernels()
    if kernels is None:  # asked before, by can_pack
        raise MissingPackageError(
            "int8 needs the compiled kernels", remedy="install a C compiler and reinstall embedtune"
        )
    return kernels


def smoothing(norm: Norm, affine: Affine) -> Tensor:
    """Returns (width,): what the columns after a layer norm are multiplied by, and the weights divided by."""
    size = (_DEVIATIONS * norm.gamma.abs() + norm.beta.abs()).clamp(min=1e-5)
    weight = affine.weight.abs().amax(dim=0).clamp(min=1e-5)
    factor = (weight / size).sqrt()
    return (factor / factor.log().mean().exp()).contiguous()
