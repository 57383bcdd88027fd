"""What a well-behaved language model would write, made from the document in the request by rule."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.language.chat_server import Answer


def document_of(request: dict[str, Any]) -> str:
    return re.search(r"<(document-\w+)>\n(.*)\n</\1>", request["messages"][1]["content"], re.DOTALL).group(2)


def wanted_of(request: dict[str, Any]) -> dict[str, int]:
    lines = re.findall(r"^- (\d+) × (\w+): ", request["messages"][1]["content"], re.MULTILINE)
    return {kind: int(count) for count, kind in lines}


def queries_for(request: dict[str, Any]) -> list[dict[str, str]]:
    """Returns as many queries of each kind as were asked for: a sentence of the document, the next as its answer."""
    sentences = [part.strip() for part in re.split(r"(?<=[.!?。！？])\s*", document_of(request)) if part.strip()]
    kinds = [kind for kind, count in wanted_of(request).items() for _ in range(count)]
    return [
        {
            "kind": kind,
            "query": f"{kind} {number}: {sentences[number % len(sentences)][:90]}",
            "answer": sentences[(number + 1) % len(sentences)][:150],
        }
        for number, kind in enumerate(kinds)
    ]


def author(request: dict[str, Any], _: int = 0) -> Answer:
    return Answer(json.dumps({"queries": queries_for(request)}, ensure_ascii=False))
