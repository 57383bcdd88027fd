"""The case study as it was: bge-small-zh-v1.5 fine-tuned twice, measured on two collections. Needs the Hub and a GPU.

python recipes/case_study.py WORK [--synthetic FILE] [--first-negatives dataset]

First run: infgrad/retrieval_data_llm, one hard negative, accumulation 16. Second run: 9,810 queries that a language
model wrote about the documents of AIR-Bench's healthcare task, fifteen negatives, accumulation 2. Have such queries
written into WORK/airbench.json, which the first run makes, by embedtune synth, and name that file with --synthetic;
without it the second run is left out.

Negatives come from ranks 51 to 100 of the base model, fifteen drawn with seed 42, known positives among them, as in
the case study; --first-negatives dataset takes the one that comes with each row of infgrad instead. Prints the
published scores beside the measured ones. This recipe was not run at full size where it was written; a test runs it
on tiny data of the same layout from a Hub of its own. What is finished in WORK isn't done again.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from case_study_training import FIRST_RUN, SECOND_RUN, CaseStudy, fine_tune, mine_as_published

from embedtune import progress
from embedtune.data.converters import convert
from embedtune.data.dataset import RetrievalDataset
from embedtune.errors import DataError, EmbedtuneError
from embedtune.evaluate.evaluation import evaluate
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import EncoderOptions, load_encoder
from embedtune.search.dense import DenseRetriever

MEASURE = "ndcg_at_10"
INSTRUCTION = "为这个句子生成表示以用于检索相关文章："
PUBLISHED = {
    "base": {"infgrad": 0.67399, "airbench": 0.32522},
    "first run": {"infgrad": 0.73301, "airbench": 0.30451},
    "second run": {"infgrad": 0.64245, "airbench": 0.26363},
}
SEED = 42

Negatives = Mapping[str, Sequence[str]]


class CaseStudyRun:
    """The datasets, the base model, and what was made of it."""

    def __init__(self, words: argparse.Namespace) -> None:
        self.work: Path = words.work
        self.encoder: str = words.encoder
        self.options = EncoderOptions(query_instruction=INSTRUCTION)
        self.cache = EmbeddingCache(self.work / "cache")
        self.val = {
            "infgrad": self._dataset("infgrad", words.infgrad),
            "airbench": self._dataset("airbench", words.airbench),
        }

    def _dataset(self, converter: str, source: str | None) -> RetrievalDataset:
        path = self.work / f"{converter}.json"
        if not path.exists():
            convert(converter, source).write(path)
        return RetrievalDataset.read(path)

    def measure(self, model: str) -> dict[str, float]:
        """Returns the scores on both val splits."""
        encoder = load_encoder(model, self.options)
        return {
            name: evaluate(dataset, DenseRetriever(encoder, dataset.corpus, self.cache)).scores.mean(MEASURE)
            for name, dataset in self.val.items()
        }

    def mined(self, dataset: RetrievalDataset) -> Negatives:
        """Returns fifteen negatives of each training query."""
        encoder = load_encoder(self.encoder, self.options)
        return mine_as_published(dataset, dataset.split_query_ids("train"), encoder, self.cache, SEED)

    def tune(self, name: str, dataset: RetrievalDataset, negatives: Negatives, settings: CaseStudy) -> str:
        """Returns the folder of a run's model; made once."""
        folder, unfinished = self.work / name, self.work / f"{name}.part"
        if not folder.exists():
            shutil.rmtree(unfinished, ignore_errors=True)
            train_ids = [query_id for query_id in dataset.split_query_ids("train") if negatives.get(query_id)]
            examples = fine_tune(
                dataset,
                train_ids,
                negatives,
                self.encoder,
                unfinished,
                settings,
                query_instruction=INSTRUCTION,
                seed=SEED,
            )
            unfinished.rename(folder)
            progress.say(f"{name}: trained on {examples} examples")
        return str(folder)


def run(words: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Returns the measured scores of the base and of each run."""
    study = CaseStudyRun(words)
    measured = {"base": study.measure(study.encoder)}
    infgrad = study.val["infgrad"]
    negatives = infgrad.negative_docs if words.first_negatives == "dataset" else study.mined(infgrad)
    measured["first run"] = study.measure(study.tune("first", infgrad, negatives, FIRST_RUN))
    if words.synthetic is None:
        progress.say("the second run is left out: name the dataset with written queries by --synthetic")
        return measured
    written = RetrievalDataset.read(words.synthetic)
    missing = [query_id for query_id in written.split_query_ids("train") if not written.positives(query_id)]
    if missing:
        raise DataError(f"{len(missing)} training queries have no relevant document", where=str(words.synthetic))
    measured["second run"] = study.measure(study.tune("second", written, study.mined(written), SECOND_RUN))
    return measured


def main() -> None:
    """Runs the recipe and prints the measured scores beside the published ones as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--encoder", default="BAAI/bge-small-zh-v1.5")
    parser.add_argument("--infgrad", help="folder of the dataset; default: the Hub's")
    parser.add_argument("--airbench", default="qa_healthcare_zh", help="task, or its folder")
    parser.add_argument("--synthetic", type=Path, help="dataset with the corpus of airbench and written train queries")
    parser.add_argument("--first-negatives", choices=["mined", "dataset"], default="mined")
    words = parser.parse_args()
    with progress.shown():
        try:
            words.work.mkdir(parents=True, exist_ok=True)
            measured = run(words)
        except EmbedtuneError as error:
            raise SystemExit(f"case_study: {error}") from None
    published = {name: PUBLISHED[name] for name in measured}
    print(json.dumps({"measure": MEASURE, "published": published, "measured": measured}, indent=1))


if __name__ == "__main__":
    main()
