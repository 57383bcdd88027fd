"""What a kind of step is: its options, what it takes from other steps, what it leaves in its folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from embedtune.data.dataset import RetrievalDataset
from embedtune.models.cache import EmbeddingCache
from embedtune.models.encoder import Encoder, EncoderOptions, load_encoder
from embedtune.options import Options
from embedtune.registry import Registry

__all__ = ["Shape", "StepInput", "StepJob", "StepKind", "StepResult", "Thing", "Workshop"]

Thing = Literal["dataset", "model", "evaluation", "mining", "checks", "file"]
"""What steps hand on to others; a file always comes from outside."""

Shape = Literal["one", "list", "named", "pairs"]
"""One reference, a list, name → reference, or name → [reference, reference]."""

Given = Mapping[str, Any]
AnyOptions = TypeVar("AnyOptions", bound=Options)


@dataclass(frozen=True)
class StepInput:
    """Something a step takes: the name of a step before it, or a path or a model's name from outside.

    `default` names the key at the top of the recipe that stands in. A step that names neither, where
    the input isn't optional, is refused.
    """

    name: str
    takes: Thing
    description: str
    shape: Shape = "one"
    optional: bool = False
    default: Literal["encoder", "guard"] | None = None


@dataclass(frozen=True)
class StepResult:
    """What a step says for the record, a sentence a line, and whether it refused what it judged."""

    lines: Sequence[str] = ()
    refused: bool = False


class Workshop:
    """What the steps of one run share: the cache of vectors, and encoders that are loaded once."""

    def __init__(self, cache: EmbeddingCache, replies: Path | None = None) -> None:
        self.cache = cache
        self.replies = replies
        self._encoders: dict[str, Encoder] = {}

    def encoder(self, name: str, options: EncoderOptions) -> Encoder:
        """Returns the encoder of that name; the one loaded before where it is the same."""
        key = f"{name}\0{options.model_dump_json()}"
        if key not in self._encoders:
            self._encoders[key] = load_encoder(name, options)
        return self._encoders[key]

    def forget(self, folder: Path) -> None:
        """Drops the encoders of a folder whose content changes."""
        self._encoders = {key: one for key, one in self._encoders.items() if not key.startswith(str(folder))}


@dataclass(frozen=True)
class StepJob:
    """One step to do: where, with which options, from what.

    `inputs` holds what the shape of the input says, with paths and models' names as texts; `named`
    has what the recipe says for each input, such as a step's name. `sizes` collects the documents
    and queries of the datasets that were read.
    """

    folder: Path
    options: Mapping[type[Options], Options]
    inputs: Mapping[str, Any]
    workshop: Workshop
    named: Mapping[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def of(self, kind: type[AnyOptions]) -> AnyOptions:
        """Returns the step's options of that class; those of a plugin are asked for by Options itself."""
        for options in self.options.values():
            if type(options) is kind:
                return options
        raise KeyError(kind)

    def dataset(self, name: str = "data") -> RetrievalDataset:
        """Returns the dataset of an input."""
        dataset = RetrievalDataset.read(self.inputs[name])
        self.count(dataset)
        return dataset

    def count(self, dataset: RetrievalDataset) -> None:
        """Notes how large a dataset is, for the record and for estimates."""
        self.sizes.update(documents=len(dataset.corpus), queries=len(dataset.queries))

    def encoder(self, name: str = "encoder") -> Encoder | None:
        """Returns the encoder of an input; None where none is named."""
        named = self.inputs.get(name)
        return None if named is None else self.workshop.encoder(named, self.of(EncoderOptions))

    def guards(self) -> dict[str, RetrievalDataset]:
        """Returns the guards of the input `guard`."""
        from embedtune.evaluate.guards import read_guards

        return read_guards([f"{name}={place}" for name, place in self.inputs.get("guard", {}).items()])


@dataclass(frozen=True)
class StepKind:
    """A kind of step. `version` goes up when the same options and inputs give something else than before.

    `outputs` are what it leaves, as the file or folder in the step's folder. `options` gives the
    classes whose fields the step takes, once the plugin that it names is known; `also` what it leaves
    besides under the given options. With `resumes` a
    step that was killed finds its folder as it left it, else an empty one. `plugins` are the options
    that name plugins, with their registries; `ignores` gives the inputs that don't matter under the given options.
    """

    version: int
    outputs: Mapping[str, str]
    inputs: Sequence[StepInput]
    options: Callable[[Given], tuple[type[Options], ...]]
    work: Callable[[StepJob], StepResult]
    resumes: bool = False
    plugins: Mapping[str, Registry] = field(default_factory=dict)
    ignores: Callable[[Given], frozenset[str]] = lambda given: frozenset()
    also: Callable[[Given], Mapping[str, str]] = lambda given: {}
