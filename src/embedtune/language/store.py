"""Replies kept on disk, one file each, written whole as soon as they come.

    FOLDER/<model>-<hash of server and model>/<two digits>/<hash of the request>.json

A file holds the request, the reply and the tokens. A killed process loses only what was under
way; a damaged file is asked for again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from embedtune import progress
from embedtune.artifact import write_text_whole
from embedtune.language.chat import Completion, Message
from embedtune.language.options import LanguageOptions
from embedtune.models.cache import default_cache_folder

__all__ = ["PastReply", "ReplyStore", "default_reply_folder"]

_NAME_LENGTH = 60


def default_reply_folder() -> Path:
    """Returns where replies are kept: beside the cached vectors."""
    vectors = default_cache_folder()
    return vectors / "replies" if os.environ.get("EMBEDTUNE_CACHE_DIR") else vectors.with_name("replies")


@dataclass(frozen=True)
class PastReply:
    """A request, the name of its schema, the length that was expected, and the reply."""

    messages: list[Message]
    schema: str
    expected_tokens: int
    completion: Completion


class ReplyStore:
    """The replies of one model on one server."""

    def __init__(self, folder: str | Path, options: LanguageOptions) -> None:
        name = re.sub(r"[^\w.-]+", "-", options.model_name())[-_NAME_LENGTH:].strip(".-") or "model"
        way = json.dumps([options.address(), options.model_name()])
        self.folder = Path(folder) / f"{name}-{hashlib.sha256(way.encode()).hexdigest()[:12]}"

    def read(self, key: str) -> Completion | None:
        """Returns the stored reply, or None where there is none or its file is damaged."""
        past = self._read(self._path(key))
        return None if past is None else past.completion

    def write(self, key: str, past: PastReply) -> None:
        """Stores a reply; raises StorageError where the disk is full."""
        content = asdict(past)
        whole = content | {"checksum": _checksum(content)}
        write_text_whole(self._path(key), json.dumps(whole, ensure_ascii=True, indent=1) + "\n")

    def some(self, count: int, schema: str) -> list[PastReply]:
        """Returns up to `count` replies to requests of one schema, the same ones each time."""
        past = (self._read(path) for path in sorted(self.folder.glob("??/*.json")))
        return list(islice((one for one in past if one is not None and one.schema == schema), count))

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    def _read(self, path: Path) -> PastReply | None:
        try:
            whole = json.loads(path.read_text(encoding="utf-8"))
            if whole.pop("checksum") != _checksum(whole):
                raise ValueError("its checksum is wrong")
            return PastReply(**(whole | {"completion": Completion(**whole["completion"])}))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            progress.say(f"warning: the stored reply {path} is damaged ({error}); asking again")
            return None


def _checksum(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
