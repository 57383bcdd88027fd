"""Adapts text-embedding models to your own corpus for retrieval, and proves that it helped.

The names below load on first use, so `import embedtune` costs nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from embedtune.data.checks import check_dataset as check_dataset
    from embedtune.data.chunking import chunk_documents as chunk_documents
    from embedtune.data.converters import convert as convert
    from embedtune.data.dataset import RetrievalDataset as RetrievalDataset
    from embedtune.data.splits import split_queries as split_queries
    from embedtune.data.training_set import TrainingSet as TrainingSet
    from embedtune.errors import EmbedtuneError as EmbedtuneError
    from embedtune.evaluate.comparison import CompareOptions as CompareOptions
    from embedtune.evaluate.comparison import compare as compare
    from embedtune.evaluate.doctor_options import DoctorOptions as DoctorOptions
    from embedtune.evaluate.evaluation import evaluate as evaluate
    from embedtune.evaluate.false_negatives import diagnose as diagnose
    from embedtune.evaluate.gate import gate as gate
    from embedtune.evaluate.guard_options import GateOptions as GateOptions
    from embedtune.evaluate.measures import Measure as Measure
    from embedtune.evaluate.scores import Scores as Scores
    from embedtune.export.card_options import CardOptions as CardOptions
    from embedtune.export.compression import measure_compression as measure_compression
    from embedtune.export.export_options import ProofOptions as ProofOptions
    from embedtune.export.exporting import Exported as Exported
    from embedtune.export.exporting import export as export
    from embedtune.export.hub_push import push_folder as push_folder
    from embedtune.export.model_card import write_model_card as write_model_card
    from embedtune.export.publishing import publish as publish
    from embedtune.export.vector_options import CompressionOptions as CompressionOptions
    from embedtune.export.vector_options import PublishOptions as PublishOptions
    from embedtune.language.chat import ChatReply as ChatReply
    from embedtune.language.chat import ChatRequest as ChatRequest
    from embedtune.language.model import LanguageModel as LanguageModel
    from embedtune.language.options import LanguageOptions as LanguageOptions
    from embedtune.merge.choosing import choose_weight as choose_weight
    from embedtune.merge.merging import merge as merge
    from embedtune.merge.options import ChooseOptions as ChooseOptions
    from embedtune.mine.mining import mine_negatives as mine_negatives
    from embedtune.mine.options import MineOptions as MineOptions
    from embedtune.mine.report import MiningReport as MiningReport
    from embedtune.mine.written import with_negatives as with_negatives
    from embedtune.models.cache import EmbeddingCache as EmbeddingCache
    from embedtune.models.encoder import Encoder as Encoder
    from embedtune.models.encoder import EncoderOptions as EncoderOptions
    from embedtune.models.encoder import load_encoder as load_encoder
    from embedtune.models.tuned import TunedModel as TunedModel
    from embedtune.models.vector_map import VectorMap as VectorMap
    from embedtune.report.content import ReportContent as ReportContent
    from embedtune.report.page import write_report as write_report
    from embedtune.search.bm25 import BM25Retriever as BM25Retriever
    from embedtune.search.dense import DenseRetriever as DenseRetriever
    from embedtune.search.fusion import fuse as fuse
    from embedtune.search.reranker_options import RerankerOptions as RerankerOptions
    from embedtune.search.reranking import Reranker as Reranker
    from embedtune.search.reranking import load_reranker as load_reranker
    from embedtune.search.reranking import rerank as rerank
    from embedtune.search.retrievers import make_retriever as make_retriever
    from embedtune.search.run import Run as Run
    from embedtune.search.store_index import opened_index as opened_index
    from embedtune.search.store_search import StoreSearch as StoreSearch
    from embedtune.search.vector_index import VectorIndex as VectorIndex
    from embedtune.synthesize.filter_rounds import restore_queries as restore_queries
    from embedtune.synthesize.filtering import FilterChoice as FilterChoice
    from embedtune.synthesize.filtering import filter_queries as filter_queries
    from embedtune.synthesize.generation import GenerateOptions as GenerateOptions
    from embedtune.synthesize.generation import generate_queries as generate_queries
    from embedtune.synthesize.material import FilterModels as FilterModels
    from embedtune.train.methods.adapter import AdapterOptions as AdapterOptions
    from embedtune.train.methods.lora import LoraOptions as LoraOptions
    from embedtune.train.methods.nudge import NudgeOptions as NudgeOptions
    from embedtune.train.training import TrainOptions as TrainOptions
    from embedtune.train.training import train as train

_HOME_OF = {
    "CardOptions": "export.card_options",
    "CompressionOptions": "export.vector_options",
    "PublishOptions": "export.vector_options",
    "measure_compression": "export.compression",
    "publish": "export.publishing",
    "push_folder": "export.hub_push",
    "write_model_card": "export.model_card",
    "AdapterOptions": "train.methods.adapter",
    "LoraOptions": "train.methods.lora",
    "NudgeOptions": "train.methods.nudge",
    "TrainOptions": "train.training",
    "DoctorOptions": "evaluate.doctor_options",
    "MineOptions": "mine.options",
    "MiningReport": "mine.report",
    "ChooseOptions": "merge.options",
    "CompareOptions": "evaluate.comparison",
    "GateOptions": "evaluate.guard_options",
    "BM25Retriever": "search.bm25",
    "ChatReply": "language.chat",
    "ChatRequest": "language.chat",
    "DenseRetriever": "search.dense",
    "EmbeddingCache": "models.cache",
    "EmbedtuneError": "errors",
    "Encoder": "models.encoder",
    "EncoderOptions": "models.encoder",
    "GenerateOptions": "synthesize.generation",
    "LanguageModel": "language.model",
    "LanguageOptions": "language.options",
    "Measure": "evaluate.measures",
    "Reranker": "search.reranking",
    "RerankerOptions": "search.reranker_options",
    "FilterChoice": "synthesize.filtering",
    "FilterModels": "synthesize.material",
    "ReportContent": "report.content",
    "RetrievalDataset": "data.dataset",
    "Run": "search.run",
    "Scores": "evaluate.scores",
    "TrainingSet": "data.training_set",
    "TunedModel": "models.tuned",
    "VectorMap": "models.vector_map",
    "VectorIndex": "search.vector_index",
    "check_dataset": "data.checks",
    "choose_weight": "merge.choosing",
    "chunk_documents": "data.chunking",
    "compare": "evaluate.comparison",
    "convert": "data.converters",
    "Exported": "export.exporting",
    "ProofOptions": "export.export_options",
    "evaluate": "evaluate.evaluation",
    "export": "export.exporting",
    "filter_queries": "synthesize.filtering",
    "fuse": "search.fusion",
    "gate": "evaluate.gate",
    "generate_queries": "synthesize.generation",
    "load_encoder": "models.encoder",
    "load_reranker": "search.reranking",
    "make_retriever": "search.retrievers",
    "opened_index": "search.store_index",
    "StoreSearch": "search.store_search",
    "diagnose": "evaluate.false_negatives",
    "merge": "merge.merging",
    "mine_negatives": "mine.mining",
    "rerank": "search.reranking",
    "restore_queries": "synthesize.filter_rounds",
    "split_queries": "data.splits",
    "train": "train.training",
    "with_negatives": "mine.written",
    "write_report": "report.page",
}

__all__ = sorted(_HOME_OF)  # pyright: ignore[reportUnsupportedDunderAll]
__version__ = "0.1.0"


class _Package(ModuleType):
    """Serves the public names ahead of subpackages of the same name, such as `train`."""

    def __getattribute__(self, name: str) -> Any:
        homes = ModuleType.__getattribute__(self, "__dict__").get("_HOME_OF", {})
        if name in homes:
            return getattr(import_module(f"embedtune.{homes[name]}"), name)
        return ModuleType.__getattribute__(self, name)

    def __dir__(self) -> list[str]:
        return [*__all__, "__version__"]


sys.modules[__name__].__class__ = _Package
