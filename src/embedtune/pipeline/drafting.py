"""Writes a commented recipe for the data at hand."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from embedtune.pipeline.data_facts import DataFacts
from embedtune.pipeline.draft_words import WORDS

__all__ = ["CommentLanguage", "draft_recipe"]

CommentLanguage = Literal["auto", "en", "zh"]

_WHOLE = ("train", "val", "test")
_FEW = 300
_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./-]*")
_RESERVED = frozenset({"true", "false", "yes", "no", "on", "off", "null"})


def draft_recipe(facts: DataFacts, encoder: str, language: CommentLanguage = "auto", schema: str | None = None) -> str:
    """Returns the recipe's text; its comments say why each step is there, in the data's language by default.

    `schema` is the address of a JSON Schema that editors are pointed to.
    """
    chinese = facts.chinese if language == "auto" else language == "zh"
    return _Draft(facts, encoder, chinese=chinese).text(schema)


class _Draft:
    def __init__(self, facts: DataFacts, encoder: str, *, chinese: bool) -> None:
        self.facts = facts
        self.encoder = encoder
        self.chinese = chinese
        self.lines: list[str] = []
        self.data = "data"
        self.notes: list[str] = []

    def text(self, schema: str | None) -> str:
        if schema is not None:
            self.lines.append(f"# yaml-language-server: $schema={schema}")
        self._top()
        self.lines += ["", "steps:"]
        self._dataset_steps()
        self._measuring_steps()
        return "\n".join(self.lines) + "\n"

    def _top(self) -> None:
        facts = self.facts
        self._say("head")
        self._say("paths")
        if facts.documents_only:
            self._say("found_files")
        else:
            splits = ", ".join(facts.splits) or WORDS["none"][self.chinese]
            self._say("found", documents=facts.documents, queries=facts.queries, splits=splits)
            self.lines.append(f"data: {_scalar(str(facts.path))}")
        if facts.chinese and self.encoder == "minilm":
            self._say("english_model")
        self.lines.append(f"encoder: {_scalar(self.encoder)}")
        self._say("guard")
        self.lines += ["# guard:", "#   others: others.json"]

    def _dataset_steps(self) -> None:
        facts = self.facts
        if facts.documents_only:
            self._step("import", "import", converter="documents", source=str(facts.path), encoder=self.encoder)
            self.data = "import"
        if facts.documents_only or not facts.queries:
            self._note("synthetic")
            self._step("synth", "synth", data=self.data, backend="rules", documents=1000, seed=42)
            self._step("filter", "filter", data="synth", split="train")
            self.data = "filter"
        if set(_WHOLE) <= set(facts.splits) and facts.queries:
            self._note("own_split")
        else:
            if facts.splits:
                self._note("split_again")
            self._step("split", "split", data=self.data, by="document", val=0.1, test=0.2, seed=42)
            self.data = "split"
        self._step("check", "check", data=self.data, encoder=self.encoder)

    def _measuring_steps(self) -> None:
        facts, judged = self.facts, self.data
        self._step("bm25", "baselines", do="eval", data=judged, retriever="bm25", split="test")
        self._step("base", None, do="eval", data=judged, split="test")
        self._step("hybrid", None, do="eval", data=judged, retriever="hybrid", split="test")
        taught = judged
        if facts.train_queries and facts.with_negatives == facts.train_queries and set(_WHOLE) <= set(facts.splits):
            self._note("own_negatives")
        else:
            self._step("mine", "mine", data=judged, split="train", negatives=4)
            taught = "mine"
        if facts.several_positives:
            self._note("several", several=facts.several_positives)
        few = 0 < facts.train_queries < _FEW
        method: dict[str, Any] = {"method": "adapter"} if few else {"method": "full", "epochs": 2}
        self._step("train", "train_adapter" if few else "train_full", data=taught, **method)
        self._step("tuned", "tuned", do="eval", data=judged, encoder="train", split="test")
        self._step("compare", "compare", a="base", b="tuned")
        self._step("gate", "gate", data=judged, tuned="train", split="test")
        more = {"mining": "mine"} if taught == "mine" else {}
        runs = ["base", "bm25", "hybrid", "tuned"]
        self._step("report", "report", data=judged, runs=runs, models="train", checks="check", **more)

    def _step(self, name: str, why: str | None, **options: Any) -> None:
        self.lines.append("")
        self.lines += self.notes
        self.notes = []
        if why is not None:
            self.lines.append(self._comment(why))
        self.lines.append(f"  {name}:")
        self.lines += [f"    {key}: {_scalar(value)}" for key, value in options.items()]

    def _say(self, word: str, **values: Any) -> None:
        """Puts a comment at the top."""
        self.lines.append(self._comment(word, **values).strip())

    def _note(self, word: str, **values: Any) -> None:
        """Keeps a comment for the beginning of the next step."""
        self.notes.append(self._comment(word, **values))

    def _comment(self, word: str, **values: Any) -> str:
        shown: Mapping[str, Any] = {"train": self.facts.train_queries} | values
        return f"  # {WORDS[word][self.chinese].format(**shown)}"


def _scalar(value: Any) -> str:
    """Returns a value as YAML; texts that YAML would read as something else are quoted."""
    if isinstance(value, list):
        return f"[{', '.join(_scalar(one) for one in value)}]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _RESERVED:
        return value
    return json.dumps(value, ensure_ascii=False)
