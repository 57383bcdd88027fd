"""What an export is worth, beside the float32 model: vectors, rankings, speed, size, and whether that is enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedtune.data.dataset import RetrievalDataset
from embedtune.export.export_options import ExportOptions, ProofOptions
from embedtune.export.fidelity import Fidelity, Reference, measure_fidelity
from embedtune.export.speed import Pace, Speed, measure_speed
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.models.moved_documents import FOLDER as MOVED
from embedtune.models.sentence_transformer import apply_options, load_model, locate_model

__all__ = ["Proof", "Prover", "proof_lines"]

_MEGABYTE = 1_000_000
_WEIGHTS = (".safetensors", ".bin", ".onnx", ".data", ".xml")


@dataclass(frozen=True)
class Proof:
    """The figures of one export; sizes are of the weights' and graphs' files."""

    fidelity: Fidelity
    speed: Speed
    size_bytes: int
    float32_size_bytes: int

    def to_json(self) -> dict[str, Any]:
        """Returns the figures as JSON values."""
        return {
            "fidelity": self.fidelity.to_json(),
            "speed": self.speed.to_json(),
            "size_bytes": self.size_bytes,
            "float32_size_bytes": self.float32_size_bytes,
        }

    def faults(self, limits: ExportOptions) -> list[str]:
        """Returns in words which limits aren't kept; none where the export may be used."""
        return [*too_far(self.fidelity, limits), *_too_slow(self.speed, limits)]


def too_far(fidelity: Fidelity, limits: ExportOptions) -> list[str]:
    """Returns in words which limits on vectors and rankings aren't kept."""
    faults = []
    cosines, measure = fidelity.cosines, fidelity.measure
    if limits.least_cosine is not None and cosines is not None and not cosines.lowest >= limits.least_cosine:
        faults.append(f"the lowest cosine is {cosines.lowest:.5f}, at least {limits.least_cosine} is asked for")
    if limits.most_lost is not None and not fidelity.lost <= limits.most_lost:
        faults.append(f"{fidelity.lost:.2%} of {measure} is lost, at most {limits.most_lost:.2%} may be")
    return faults


def _too_slow(speed: Speed, limits: ExportOptions) -> list[str]:
    if limits.least_speedup is None or speed.ratio >= limits.least_speedup:
        return []
    return [f"it is {speed.ratio:.2f} times as fast as float32, at least {limits.least_speedup} times is asked for"]


class Prover:
    """Compares exports of one model with it; the model's own vectors are computed once."""

    def __init__(
        self,
        name: str,
        dataset: RetrievalDataset,
        encoder_options: EncoderOptions,
        options: ProofOptions,
        cache: EmbeddingCache,
        *,
        same_space: bool = True,
    ) -> None:
        self.same_space = same_space
        self.dataset, self.options, self.cache = dataset, options, cache
        exact = encoder_options.model_copy(update={"precision": "float32", "forward": "auto", "processes": 1})
        self._encoder_options = EncoderOptions(
            device=encoder_options.device,
            tokens_per_batch=encoder_options.tokens_per_batch,
            trust_remote_code=encoder_options.trust_remote_code,
        )
        self.reference = Reference.measure(dataset, load_encoder(name, exact), cache, options)
        self._plain = load_model(name, exact)
        apply_options(self._plain, exact)
        self._size_bytes = size_of(Path(locate_model(name)[0]))

    def fidelity(self, folder: Path) -> Fidelity:
        """Returns how near a folder's vectors and rankings are."""
        encoder = load_encoder(folder, self._encoder_options)
        return measure_fidelity(
            self.dataset, self.reference, encoder, self.cache, self.options, same_space=self.same_space
        )

    def prove(self, folder: Path, fidelity: Fidelity) -> Proof:
        """Returns all figures of a folder."""
        encoder = load_encoder(folder, self._encoder_options)
        documents = list(self.reference.corpus.values())
        queries = list(self.reference.queries.values())
        speed = measure_speed(self._plain, encoder, documents, queries, self.options)
        return Proof(fidelity, speed, size_of(folder), self._size_bytes)


def size_of(folder: Path) -> int:
    """Returns the bytes of a model's weights and graphs; moved documents aren't counted."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix in _WEIGHTS)
    return sum(path.stat().st_size for path in files if MOVED not in path.parts)


def proof_lines(proof: Proof) -> Sequence[tuple[str, str, str]]:
    """Returns (what, float32, exported) for each figure."""
    fidelity, speed = proof.fidelity, proof.speed
    difference = fidelity.difference
    low, high = difference.interval
    cosines = fidelity.cosines
    rows = (
        []
        if cosines is None
        else [
            ("cosine: lowest", "1", f"{cosines.lowest:.5f}"),
            ("cosine: 1st percentile", "1", f"{cosines.first_percentile:.5f}"),
            ("cosine: mean", "1", f"{cosines.mean:.5f}"),
        ]
    )
    rows += [
        (fidelity.measure, f"{difference.mean_a:.4f}", f"{difference.mean_b:.4f}"),
        ("difference, 95 % interval", "", f"{difference.mean:+.4f} ({low:+.4f} to {high:+.4f})"),
        *_pace_rows(speed.float32, speed.exported),
        ("times as fast", "1", f"{speed.ratio:.2f}"),
        ("size, MB", f"{proof.float32_size_bytes / _MEGABYTE:.1f}", f"{proof.size_bytes / _MEGABYTE:.1f}"),
    ]
    return rows


def _pace_rows(float32: Pace, exported: Pace) -> list[tuple[str, str, str]]:
    return [
        ("documents a second", f"{float32.documents_per_s:.1f}", f"{exported.documents_per_s:.1f}"),
        ("one query, ms, median", f"{float32.query_ms_p50:.1f}", f"{exported.query_ms_p50:.1f}"),
        ("one query, ms, 95th percentile", f"{float32.query_ms_p95:.1f}", f"{exported.query_ms_p95:.1f}"),
    ]
