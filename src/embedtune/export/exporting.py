"""Model → a folder that runs elsewhere, compared with the model before anyone may use it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from embedtune import progress
from embedtune.artifact import Artifact, refuse_strangers
from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import EmbedtuneError, OptionsError
from embedtune.export.export_options import ExportOptions, ProofOptions
from embedtune.export.exporters import EXPORTERS
from embedtune.export.folder_readme import write_readme
from embedtune.export.proof import Proof, Prover, too_far
from embedtune.export.source import ExportSource
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions

__all__ = ["EXPORTED_MODEL", "ExportRefusedError", "Exported", "Exporter", "export"]

EXPORTED_MODEL = "exported-model"
_PARTS = 3
"""Written, its vectors compared, its rankings compared and its speed measured."""
_DOCUMENTS_SHOWN = 10_000


class Exporter(Protocol):
    """A format's file."""

    OPTIONS: type[ExportOptions]

    def export(self, source: ExportSource, folder: Path, options: Any) -> Iterator[str]:
        """Yields a line of words each time the folder holds a candidate.

        It is asked for the next one, more careful and slower, where one is too far from the model.
        """


@dataclass(frozen=True)
class Exported:
    """An exported folder, its figures, how it was made, and which limits it doesn't keep (with force)."""

    folder: Path
    format: str
    proof: Proof
    made: str
    faults: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns the figures as JSON values."""
        return {
            "folder": str(self.folder),
            "format": self.format,
            "made": self.made,
            "faults": list(self.faults),
        } | self.proof.to_json()


class ExportRefusedError(EmbedtuneError):
    """An export that would retrieve worse, or be slower, than its limits allow; nothing was written."""

    def __init__(self, exported: Exported) -> None:
        self.exported = exported
        super().__init__(
            f"the {exported.format} export isn't good enough, so nothing was written: {'; '.join(exported.faults)}",
            remedy="pass --force to write it nevertheless, or set other limits (see --help)",
        )


def export(
    model: str,
    dataset: RetrievalDataset,
    folder: Path,
    *,
    format_name: str = "onnx",
    options: ExportOptions | None = None,
    proof_options: ProofOptions | None = None,
    encoder_options: EncoderOptions | None = None,
    cache: EmbeddingCache | None = None,
    made_from: Mapping[str, Any] | None = None,
    force: bool = False,
    overwrite: bool = False,
) -> Exported:
    """Writes a model in a format, compares it with the float32 model on the dataset, and keeps it if it is near.

    Raises ExportRefusedError where the limits in `options` aren't kept, unless forced, and
    EmbedtuneError where the model can't be exported; no folder is left then.
    """
    plugin = EXPORTERS.load(format_name)
    options = options or plugin.OPTIONS()
    if not isinstance(options, plugin.OPTIONS):
        raise OptionsError(f"{format_name!r} takes {plugin.OPTIONS.__name__}, found {type(options).__name__}")
    encoder_options, proof_options = encoder_options or EncoderOptions(), proof_options or ProofOptions()
    refuse_strangers(folder, EXPORTED_MODEL, overwrite)
    record: dict[str, Any] = {"model": model, "format": format_name, "options": options.model_dump()}
    record |= {"encoder_options": encoder_options.model_dump(), "proof_options": proof_options.model_dump()}
    with Artifact.create(folder, EXPORTED_MODEL, record, overwrite=overwrite) as temporary:
        source = ExportSource.load(model, encoder_options, tuple(dataset.corpus.values())[:_DOCUMENTS_SHOWN])
        candidates = plugin.export(source, temporary, options)
        progress.say(f"writes {format_name}: some seconds for a small model, minutes for a large one")
        with EXPORTERS.naming_missing_packages(format_name):
            made = next(candidates)  # what can't be exported is said before the long comparison
        cache = cache or EmbeddingCache(None)
        same_space = getattr(plugin, "SAME_SPACE", True)
        prover = Prover(model, dataset, encoder_options, proof_options, cache, same_space=same_space)
        exported = _first_near(candidates, made, prover, temporary, folder, format_name, options)
        if exported.faults and not force:
            raise ExportRefusedError(exported)
        record |= dict(made_from or {}) | {"result": exported.to_json()}
        write_readme(temporary, source, exported, prover.dataset, proof_options)
    return exported


def _first_near(
    candidates: Iterator[str],
    made: str,
    prover: Prover,
    temporary: Path,
    folder: Path,
    format_name: str,
    options: ExportOptions,
) -> Exported:
    """Returns the first candidate that is near enough, or the last one."""
    with progress.task(f"export {format_name}", total=_PARTS) as exporting:
        progress.say(made)
        exporting.advance(note="compare vectors")
        fidelity = prover.fidelity(temporary)
        while faults := too_far(fidelity, options):
            progress.say(f"not near enough: {'; '.join(faults)}")
            following = next(candidates, None)
            if following is None:
                break
            made = following
            progress.say(made)
            fidelity = prover.fidelity(temporary)
        exporting.advance(note="compare rankings, measure the speed")
        proof = prover.prove(temporary, fidelity)
        exporting.advance()
    return Exported(folder, format_name, proof, made, tuple(proof.faults(options)))
