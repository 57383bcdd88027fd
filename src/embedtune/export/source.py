"""The model that is exported, taken apart: what makes vectors, the map of queries, the moved documents."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Router, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

from embedtune.errors import EncoderError
from embedtune.models.encoder import EncoderOptions
from embedtune.models.moved_documents import FOLDER as MOVED
from embedtune.models.moved_documents import has_moved_documents
from embedtune.models.sentence_transformer import apply_options, load_model, locate_model
from embedtune.models.vector_map import VectorMap, take_query_map

__all__ = ["ExportSource"]

_WEIGHTS = "model*.safetensors*"


@dataclass(frozen=True)
class ExportSource:
    """A model in float32 with its options, its query-side map apart, and where its moved documents are.

    `documents` are some of the dataset's, for formats that look at what goes through.
    """

    name: str
    model: SentenceTransformer
    query_map: VectorMap | None
    moved: Path | None
    documents: tuple[str, ...] = ()

    @classmethod
    def load(cls, name: str, options: EncoderOptions, documents: tuple[str, ...] = ()) -> ExportSource:
        """Returns a model by the name that load_encoder takes; raises EncoderError where it can't be loaded."""
        model = load_model(name, options)
        query_map = take_query_map(model)
        apply_options(model, options)
        moved = Path(locate_model(name)[0]) / MOVED if has_moved_documents(name) else None
        return cls(name, model.eval(), query_map, moved, documents)

    @property
    def normalise(self) -> bool:
        """Returns whether vectors have unit length."""
        return bool(self.model.similarity_fn_name == "cosine")

    def refuse_without_graph(self) -> None:
        """Raises EncoderError where queries or documents don't go through one transformer and its pooling."""
        modules = list(self.model)
        if type(modules[0]) is not Transformer or not any(isinstance(module, Pooling) for module in modules):
            found = ", ".join(type(module).__name__ for module in modules)
            raise EncoderError(
                f"{self.name} is made of {found}; a graph is made of one Transformer with Pooling after it",
                remedy="export it as fp16 or bf16, which keep every module",
            )
        self._refuse_routes()
        pooling = next(module for module in modules if isinstance(module, Pooling))
        if not pooling.include_prompt and any(self.model.prompts.values()):
            raise EncoderError(
                f"{self.name} leaves its prompt out of the pooling, which a graph of token ids can't know",
                remedy="export it as fp16 or bf16",
            )

    def _refuse_routes(self) -> None:
        if any(isinstance(module, Router) for module in self.model):
            raise EncoderError(
                f"{self.name} takes queries and documents through modules of their own, which isn't one graph",
                remedy="export it as fp16 or bf16; an adapter that embedtune trained can be exported in any format",
            )

    def refuse_what_moved(self, format_name: str) -> None:
        """Raises EncoderError where a format whose vectors are others would leave a map or moved vectors behind."""
        if self.query_map is not None or self.moved is not None:
            what = "a map of queries" if self.query_map is not None else "moved documents"
            raise EncoderError(
                f"{self.name} has {what}, which means nothing among the vectors of {format_name}",
                remedy="export the model that it was made from",
            )

    def save(self, folder: Path, *, weights: bool) -> None:
        """Writes the sentence-transformers folder, with the map of queries and the moved documents.

        Without `weights` the transformer's own are left out, for a graph to take their place.
        """
        if self.query_map is not None:
            self.query_map.attach(self.model)
        try:
            self.model.save_pretrained(str(folder), create_model_card=False, safe_serialization=True)
        finally:
            if self.query_map is not None:
                del self.model[-1]
        if self.moved is not None:
            shutil.copytree(self.moved, folder / MOVED)
        for path in folder.glob(_WEIGHTS) if not weights else ():
            path.unlink()

    def prompts(self) -> Mapping[str, Any]:
        """Returns the prompts of queries and documents."""
        from embedtune.models.sentence_transformer import prompt_of

        return {"query_prompt": prompt_of(self.model, "query"), "document_prompt": prompt_of(self.model, "document")}
