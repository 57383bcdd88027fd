"""Text from documents between marks that it can't contain, so that a model can tell it from instructions."""

from __future__ import annotations

import hashlib
import re

__all__ = ["fence_of", "fenced"]

_CONTROL_TOKEN = re.compile(
    r"<(?=[|｜])"  # <|im_start|> and its like: chat templates' own marks, which servers don't escape
    r"|<(?=/?(?:start_of_turn|end_of_turn|bos|eos|s|unk|pad|think|thinking)>)"
    r"|<(?=<SYS>>|</SYS>>)"
    r"|\[(?=/?INST\])",
    re.IGNORECASE,
)


def fence_of(text: str, name: str = "document") -> str:
    """Returns the mark for a text, such as document-3f2a91c0; it depends on the text, which can't hold its own hash."""
    return f"{name}-{hashlib.blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=4).hexdigest()}"


def fenced(text: str, name: str = "document") -> str:
    """Returns the text between its marks.

    What a chat template would take for the end of a message, and what looks like a mark, is broken up
    by a blank; nothing else changes.
    """
    marks = re.compile(rf"<(?=\s*/?\s*{re.escape(name)}\b)", re.IGNORECASE)
    harmless = marks.sub("< ", _CONTROL_TOKEN.sub(lambda match: match.group() + " ", text))
    mark = fence_of(text, name)
    return f"<{mark}>\n{harmless}\n</{mark}>"
