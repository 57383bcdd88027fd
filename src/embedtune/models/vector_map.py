"""A map from vectors to vectors, kept in a sentence-transformers folder on the query route only."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Router
from torch import Tensor, nn

from embedtune.errors import EncoderError
from embedtune.models.encoder import Vectors

__all__ = ["Folded", "VectorMap", "linear_module", "take_query_map"]

_ROWS_PER_STEP = 65_536
_QUERY, _DOCUMENT = "query", "document"
_HIDDEN = "hidden"
_VECTOR = "sentence_embedding"


class Folded(NamedTuple):
    """A matrix for queries and documents alike, and the share of the map that no such matrix can express."""

    matrix: Tensor
    lost_share: float


class VectorMap:
    """Takes a unit vector to another one; made of sentence-transformers' own modules.

    `modules` are run in order, between two that normalise, so that the length of what comes in
    doesn't matter.
    """

    def __init__(self, modules: Sequence[Dense]) -> None:
        self.modules = list(modules)
        self.dim: int = self.modules[0].in_features
        if self.modules[-1].out_features != self.dim:
            raise EncoderError(
                f"the query-side map turns {self.dim} dimensions into {self.modules[-1].out_features}, "
                "so queries and documents could no longer be compared",
                remedy="make the tuned model again",
            )
        known = {_VECTOR: self.dim}
        for module in self.modules:
            if known.get(module.module_input_name) != module.in_features:
                raise EncoderError(
                    f"the query-side map's layers don't fit: one takes {module.in_features} dimensions of "
                    f"{module.module_input_name!r}, those before it give {known}",
                    remedy="make the tuned model again",
                )
            known[module.module_output_name] = module.out_features
        self.route = nn.Sequential(Normalize(), *self.modules, Normalize()).eval()

    @classmethod
    def linear(cls, update: Tensor) -> VectorMap:
        """Returns q ↦ q + update q, of unit length; `update` is (dim, dim)."""
        return cls([linear_module(update, use_residual=True)])

    @classmethod
    def hidden(cls, inner: Tensor, bias: Tensor, outer: Tensor) -> VectorMap:
        """Returns q ↦ q + outer relu(inner q + bias), of unit length.

        `inner` is (units, dim), `outer` (dim, units). sentence-transformers has no sum of two
        modules, so q itself goes through the hidden layer as relu(q) - relu(-q).
        """
        dim = inner.shape[1]
        eye = torch.eye(dim)
        first = linear_module(
            torch.cat([inner, eye, -eye]),
            bias=torch.cat([bias, torch.zeros(2 * dim)]),
            activation=nn.ReLU(),
            output=_HIDDEN,
        )
        return cls([first, linear_module(torch.cat([outer, eye, -eye], dim=1), source=_HIDDEN)])

    @property
    def fingerprint(self) -> str:
        """Returns a SHA-256 (hexadecimal) of everything that decides the map."""
        digest = hashlib.sha256()
        for module in self.modules:
            digest.update(repr(sorted(module.get_config_dict().items())).encode())
            for name, tensor in sorted(module.state_dict().items()):
                digest.update(f"{name}:{tuple(tensor.shape)}".encode())
                digest.update(tensor.float().contiguous().numpy().data)
        return digest.hexdigest()

    @torch.inference_mode()
    def apply(self, vectors: Vectors) -> Vectors:
        """Returns the mapped vectors, (n, dim) float32 of unit length."""
        mapped = [
            self.route({_VECTOR: part})[_VECTOR] for part in torch.split(torch.from_numpy(vectors), _ROWS_PER_STEP)
        ]
        result: Vectors = torch.cat(mapped).numpy() if mapped else vectors
        return result

    def towards_identity(self, share: float) -> VectorMap:
        """Returns the map that adds only that share of what this one adds to a query: 1 is this one, 0 the identity.

        Raises EncoderError for a map that isn't a sum of the query and something.
        """
        *before, last = self.modules
        weight = last.linear.weight.detach()
        plain = not last.bias and isinstance(last.activation_function, nn.Identity)
        if plain and not before and last.use_residual:
            return VectorMap([linear_module(weight * share, use_residual=True)])
        eye = torch.eye(self.dim)
        added = weight[:, : -2 * self.dim]
        if not plain or len(before) != 1 or not torch.equal(weight[:, added.shape[1] :], torch.cat([eye, -eye], dim=1)):
            raise EncoderError(
                "the query-side map isn't one that embedtune makes, so it can't be drawn towards the identity",
                remedy="use the tuned model as it is, or train an adapter with embedtune train --method adapter",
            )
        return VectorMap([*before, linear_module(torch.cat([added * share, eye, -eye], dim=1), source=_HIDDEN)])

    def attach(self, model: SentenceTransformer) -> None:
        """Puts the map on the model's query route; documents are encoded as before."""
        model.append(Router({_QUERY: [*self.route], _DOCUMENT: []}, default_route=_DOCUMENT, allow_empty_key=False))

    def fold(self) -> Folded:
        """Returns A such that (A q)·(A d) comes nearest to (q + update q)·d, for a store with one map for both.

        q·(M d) with M = (1 + update)ᵀ can be written so only where M is symmetric and has no
        negative eigenvalue; A is the root of the nearest matrix that is (Higham 1988,
        https://doi.org/10.1016/0024-3795(88)90223-6). Scores are inner products. Raises
        EncoderError for a map with a hidden layer.
        """
        if len(self.modules) > 1:
            raise EncoderError(
                "a map with a hidden layer can't be folded into one for both sides",
                remedy="train it with --shape linear or low-rank",
            )
        matrix = (torch.eye(self.dim) + self.modules[0].linear.weight.detach()).double()
        values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
        values = values.clamp(min=0)
        nearest = vectors * values @ vectors.T
        lost = float(torch.linalg.norm(nearest - matrix) / torch.linalg.norm(matrix))
        return Folded((vectors * values.sqrt() @ vectors.T).float(), lost)


def take_query_map(model: SentenceTransformer) -> VectorMap | None:
    """Takes our map off a model that has one, which leaves the base model, and returns it.

    Raises EncoderError where the map doesn't fit the model's vectors or its weights aren't finite.
    """
    last = model[-1]
    if not isinstance(last, Router) or len(model) < 2 or set(last.sub_modules) != {_QUERY, _DOCUMENT}:
        return None
    modules = [module for module in last.sub_modules[_QUERY] if not isinstance(module, Normalize)]
    if len(last.sub_modules[_DOCUMENT]) or not modules or not all(isinstance(module, Dense) for module in modules):
        return None
    query_map = VectorMap(modules)
    del model[-1]
    dim = model.get_embedding_dimension()
    if query_map.dim != dim:
        raise EncoderError(
            f"the query-side map is for vectors of {query_map.dim} dimensions, the model's have {dim}",
            remedy="make the tuned model again; a map belongs to the model that it was trained on",
        )
    if not all(tensor.isfinite().all() for module in modules for tensor in module.state_dict().values()):
        raise EncoderError(
            "the query-side map holds NaN or infinite weights",
            remedy="make the tuned model again",
        )
    return query_map


def linear_module(
    weight: Tensor,
    *,
    bias: Tensor | None = None,
    activation: nn.Module | None = None,
    source: str = _VECTOR,
    output: str = _VECTOR,
    use_residual: bool = False,
) -> Dense:
    """Returns the module x ↦ activation(weight x + bias), plus x with `use_residual`."""
    return Dense(
        weight.shape[1],
        weight.shape[0],
        bias=bias is not None,
        activation_function=activation or nn.Identity(),
        init_weight=weight.detach().clone(),
        init_bias=bias,
        module_input_name=source,
        module_output_name=output,
        use_residual=use_residual,
    )
