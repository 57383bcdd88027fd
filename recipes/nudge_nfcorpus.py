"""NUDGE-N on NFCorpus with bge-small-en-v1.5, beside the authors' figures. Needs the Hugging Face Hub.

python recipes/nudge_nfcorpus.py WORK [--source sepz/nfcorpus_ft] [--encoder BAAI/bge-small-en-v1.5]

The authors' README (https://github.com/szeighami/nudge) has ndcg_at_10 0.339 without and 0.445 with NUDGE-N on their
copy of NFCorpus, whose three kinds of queries include long descriptions; no query instruction is used there. This
recipe was not run at full size where it was written; a test runs it on tiny data of the same layout.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from embedtune import progress
from embedtune.data.building import ConverterOptions, DatasetBuilder
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.hub import hub_dataset
from embedtune.data.hub_configs import README, HubFile, hub_files
from embedtune.data.records import grade_in, id_in, read_records, split_called, text_in
from embedtune.data.training_set import TrainingSet
from embedtune.errors import EmbedtuneError
from embedtune.evaluate.evaluation import evaluate
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.search.dense import DenseRetriever
from embedtune.train.training import train

PUBLISHED = {"base": 0.339, "nudged": 0.445}
MEASURE = "ndcg_at_10"
AS_PUBLISHED = EncoderOptions(query_instruction="", document_instruction="")


def read_nfcorpus(source: str) -> RetrievalDataset:
    """Returns the authors' dataset: configurations data_records, qs and qs_rel; query ids begin anew in each split."""
    folder = hub_dataset(source, None, [README, "*.parquet"]).folder
    files = hub_files(folder)
    builder = DatasetBuilder(source, ConverterOptions())
    for file in _of(files, "data_records"):
        for row, record in enumerate(read_records(file.path)):
            known = id_in(record, "record_id") if "record_id" in record.values else str(row)
            builder.add_document(known, text_in(record, "text"), record.place)
    for file in _of(files, "qs"):
        for row, record in enumerate(read_records(file.path)):
            known = id_in(record, "q_id") if "q_id" in record.values else str(row)
            builder.add_query(f"{file.split}-{known}", text_in(record, "input"), record.place, split_called(file.split))
    for file in _of(files, "qs_rel"):
        for record in read_records(file.path):
            builder.judge(f"{file.split}-{id_in(record, 'q_id')}", id_in(record, "record_id"), grade_in(record, "rel"))
    return builder.build()


def _of(files: list[HubFile], config: str) -> list[HubFile]:
    return [file for file in files if file.config == config]


def run(source: str, encoder: str, work: Path) -> dict[str, float]:
    """Returns the measured test scores of the base and of NUDGE-N."""
    dataset = read_nfcorpus(source)
    dataset.write(work / "nfcorpus.json")
    cache = EmbeddingCache(work / "cache")
    training_set = TrainingSet.build(dataset, "train")
    result = train(
        training_set,
        encoder,
        work / "nudged",
        method="nudge",
        encoder_options=AS_PUBLISHED,
        cache=cache,
        made_from={"dataset": source},
        overwrite=True,
    )
    for sentence in result.model.manifest["made_from"]["words"]:
        progress.say(sentence)
    measured = {}
    for name, model in (("base", encoder), ("nudged", str(result.model.folder))):
        retriever = DenseRetriever(load_encoder(model, AS_PUBLISHED), dataset.corpus, cache)
        measured[name] = evaluate(dataset, retriever, split="test").scores.mean(MEASURE)
    return measured


def main() -> None:
    """Runs the recipe and prints the measured scores beside the published ones as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--source", default="sepz/nfcorpus_ft")
    parser.add_argument("--encoder", default="BAAI/bge-small-en-v1.5")
    words = parser.parse_args()
    with progress.shown():
        try:
            measured = run(words.source, words.encoder, words.work)
        except EmbedtuneError as error:
            raise SystemExit(f"nudge_nfcorpus: {error}") from None
    print(json.dumps({"measure": MEASURE, "published": PUBLISHED, "measured": measured}, indent=1))


if __name__ == "__main__":
    main()
