"""A folder of .txt, .md, .html, .pdf, .docx and .jsonl files, cut into chunks that an encoder reads whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field

from embedtune import progress
from embedtune.data.building import ConverterOptions
from embedtune.data.chunking import chunk_documents
from embedtune.data.dataset import RetrievalDataset
from embedtune.data.parsers import PARSERS
from embedtune.data.source_document import SourceDocument
from embedtune.data.text_files import existing_path
from embedtune.data.token_counter import TokenCounter, character_counter, encoder_counter
from embedtune.errors import DataError, MissingPackageError, OptionsError

__all__ = ["OPTIONS", "DocumentsOptions", "convert"]

_ALSO = {"htm": "html", "markdown": "md", "text": "txt"}
_DEFAULT_CHARACTERS = 1000
_SHOWN_FAULTS = 20


class DocumentsOptions(ConverterOptions):
    """How files are cut into chunks."""

    encoder: str | None = Field(
        default=None,
        description="Encoder whose tokenizer measures the chunks: minilm, a model folder, or a name on the Hub. "
        "Default: measured in characters.",
    )
    max_length: int | None = Field(
        default=None,
        ge=1,
        description="Longest chunk, in tokens of the encoder or in characters; default: the encoder's limit, "
        f"or {_DEFAULT_CHARACTERS} characters.",
    )
    overlap: float = Field(default=0.1, ge=0, lt=1, description="Share of a chunk that the next one may repeat.")
    encoder_revision: str | None = Field(default=None, description="Branch, tag or commit of an encoder on the Hub.")
    skip_faulty: bool = Field(
        default=False, description="Leave out files that can't be read, and name them, instead of refusing them all."
    )


OPTIONS = DocumentsOptions


def convert(source: str | Path | None, options: DocumentsOptions) -> RetrievalDataset:
    """Returns a dataset without queries; its documents are the chunks of the files.

    The extra field `document_sources` holds for each chunk its file, its heading path and its
    first and last character in the file's text, which for .txt and .md is the file as it is.
    """
    root = existing_path(source, "a folder of documents, or one document")
    counter, longest = _measure(options)
    corpus: dict[str, str] = {}
    sources: dict[str, dict[str, Any]] = {}
    for name, document in _documents(root, options.skip_faulty):
        (chunks,) = chunk_documents(
            [document], counter.count_tokens, max_tokens=longest, overlap_tokens=int(options.overlap * longest)
        )
        label = f"{name}#{document.name}" if document.name else name
        for number, chunk in enumerate(chunks, start=1):
            chunk_id = f"{label}#{number}"
            if chunk_id in corpus:
                raise DataError(f"two documents have the name {label!r}", where=name, remedy="give each row its own id")
            corpus[chunk_id] = chunk.text
            sources[chunk_id] = {
                "file": name, "headings": list(chunk.headings), "start": chunk.start, "end": chunk.end
            }  # fmt: skip
    if not corpus:
        raise DataError("the files hold no text", where=str(root))
    progress.say(f"{len(corpus)} chunks of at most {longest} {counter.unit}")
    chunking = {"encoder": options.encoder, "unit": counter.unit, "max_length": longest, "overlap": options.overlap}
    return RetrievalDataset({}, corpus, {}, extra={"document_sources": sources, "chunking": chunking})


def _measure(options: DocumentsOptions) -> tuple[TokenCounter, int]:
    """Returns the counter and the longest chunk; never longer than the encoder reads."""
    if options.encoder is None:
        return character_counter(), options.max_length or _DEFAULT_CHARACTERS
    counter = encoder_counter(options.encoder, options.encoder_revision)
    limit = counter.max_tokens or 0
    if options.max_length is not None and options.max_length > limit:
        raise OptionsError(
            f"chunks of {options.max_length} tokens are too long: the encoder reads {limit} and drops the rest",
            remedy="give a smaller --max-length, or none",
        )
    return counter, options.max_length or limit


def _documents(root: Path, skip_faulty: bool) -> Iterator[tuple[str, SourceDocument]]:
    """Yields (file name, document); after the last one raises DataError with all files that can't be read."""
    faults: list[str] = []
    files = _files(root)
    with progress.task("read documents", total=len(files)) as reading:
        for path in files:
            name = path.name if root.is_file() else path.relative_to(root).as_posix()
            try:
                for document in PARSERS.load(_kind(path)).parse(path):
                    yield name, document
            except MissingPackageError:
                raise
            except DataError as error:
                faults.append(str(error))
            reading.advance()
    if skip_faulty:
        for fault in faults:
            progress.say(f"left out: {fault}")
    elif faults:
        count = "1 file" if len(faults) == 1 else f"{len(faults)} files"
        remedy = "mend these files, or pass --skip-faulty to leave them out"
        raise DataError("\n".join([f"{count} can't be read:", *faults[:_SHOWN_FAULTS]]), where=str(root), remedy=remedy)


def _files(root: Path) -> list[Path]:
    """Returns the files that a parser reads, sorted; says how many others there are."""
    files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
    shown = [path for path in files if not any(part.startswith(".") for part in path.relative_to(root).parts)]
    known = [path for path in shown if _kind(path) in PARSERS.names()]
    others = Counter(path.suffix or path.name for path in shown if _kind(path) not in PARSERS.names())
    if others:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common())
        progress.say(f"left out, no parser for them: {kinds}")
    if not known:
        kinds = ", ".join(f".{name}" for name in PARSERS.names())
        found = "the folder is empty" if not shown else f"found {len(shown)} other files"
        raise DataError(f"there are no documents: {found}", where=str(root), remedy=f"give files of {kinds}")
    return known


def _kind(path: Path) -> str:
    suffix = path.suffix.lower().removeprefix(".")
    return _ALSO.get(suffix, suffix)
