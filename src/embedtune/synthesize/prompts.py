"""Prompt templates: plain text files by language, any of which a folder of the user's own replaces.

A folder has `en` and `zh`, and in each `instructions.txt` (the system message), `request.txt` with
${document}, ${wanted} and ${examples}, `examples.txt` with ${examples}, and `kinds.txt` with a line
"kind: description" for each kind. What a folder leaves out is taken from here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from embedtune.data.languages import language_of
from embedtune.data.text_files import read_text
from embedtune.errors import OptionsError
from embedtune.language.fencing import fenced

__all__ = ["Prompts", "prompt_language", "read_prompts"]

_PACKAGED = Path(__file__).parent / "templates"
_LANGUAGES = ("en", "zh")
_FIELDS = {
    "instructions.txt": set[str](),
    "request.txt": {"document", "wanted", "examples"},
    "examples.txt": {"examples"},
    "kinds.txt": set[str](),
}
_EXAMPLES = "examples"


def prompt_language(text: str) -> str:
    """Returns "zh" for Chinese texts, Simplified and Traditional, and "en" for all others."""
    return "zh" if language_of(text).startswith("Chinese") else "en"


@dataclass(frozen=True)
class Prompts:
    """The templates of one language."""

    instructions: str
    request: str
    examples: str
    kinds: Mapping[str, str]

    def user_message(self, document: str, wanted: Mapping[str, int], examples: Sequence[str]) -> str:
        """Returns the request: style examples, the fenced document, and what is wanted of which kind."""
        shown = ""
        if examples:
            listed = "\n".join(" ".join(example.split()) for example in examples)
            shown = Template(self.examples).substitute(examples=fenced(listed, _EXAMPLES))
        lines = [f"- {count} × {kind}: {self.kinds[kind]}" for kind, count in wanted.items()]
        values = {"document": fenced(document), "wanted": "\n".join(lines), "examples": shown}
        return Template(self.request).substitute(values).strip()

    def digest(self) -> str:
        """Returns a hash of the templates, for the record of how queries were made."""
        whole = "\0".join([self.instructions, self.request, self.examples, *map(str, self.kinds.items())])
        return hashlib.sha256(whole.encode()).hexdigest()[:16]


def read_prompts(folder: Path | None, kinds: Sequence[str]) -> dict[str, Prompts]:
    """Returns the templates by language; raises OptionsError for files that don't say what they must."""
    if folder is not None and not any((folder / language).is_dir() for language in _LANGUAGES):
        raise OptionsError(
            f"{folder} holds no prompts: neither {' nor '.join(f'{name}/' for name in _LANGUAGES)} is there",
            remedy=f"copy the folder {_PACKAGED} and change the copy",
        )
    return {language: _read(folder, language, kinds) for language in _LANGUAGES}


def _read(folder: Path | None, language: str, kinds: Sequence[str]) -> Prompts:
    texts = {}
    for name, fields in _FIELDS.items():
        own = None if folder is None else folder / language / name
        path = own if own is not None and own.is_file() else _PACKAGED / language / name
        texts[name] = read_text(path)
        if fields:
            _check(texts[name], fields, path)
    described = _described(texts["kinds.txt"])
    missing = [kind for kind in kinds if kind not in described]
    if missing:
        raise OptionsError(f"kinds.txt ({language}) doesn't describe {', '.join(missing)}", where=str(folder))
    return Prompts(texts["instructions.txt"].strip(), texts["request.txt"], texts["examples.txt"], described)


def _check(text: str, fields: set[str], path: Path) -> None:
    template = Template(text)
    found = set(template.get_identifiers()) if template.is_valid() else set()
    if not template.is_valid() or found != fields:
        expected = ", ".join(f"${{{name}}}" for name in sorted(fields))
        raise OptionsError(
            f"the template must hold {expected} and no other $", where=str(path), remedy="write $$ for a dollar sign"
        )


def _described(text: str) -> dict[str, str]:
    """Returns kind → description from lines such as "title: a headline …"."""
    lines = (line.replace("：", ":", 1).partition(":") for line in text.splitlines() if line.strip())
    return {kind.strip(): description.strip() for kind, _, description in lines}
