"""What is asked of a language model, and what comes back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel

from embedtune.language.options import LanguageOptions

__all__ = ["ChatReply", "ChatRequest", "Completion", "Message", "ReplyState", "Schema", "request_key", "wire_schema"]

_FORMAT = 1
_STRUCTURE = frozenset({"type", "items", "enum", "const", "anyOf", "$ref", "description"})

Message = dict[str, str]
"""`role` and `content`, as the protocol has them."""

Schema = TypeVar("Schema", bound=BaseModel)

ReplyState = Literal["valid", "salvaged", "rejected", "failed", "not asked"]
"""rejected: there is a reply, and nothing in it fits the schema; failed: no reply, after all retries;
not asked: the budget was spent."""


@dataclass(frozen=True)
class ChatRequest:
    """Instructions and the text they are about; `expected_tokens` is a guess of the reply's length."""

    system: str
    user: str
    expected_tokens: int = 200

    def messages(self) -> list[Message]:
        """Returns the request as the protocol's messages."""
        return [{"role": "system", "content": self.system}, {"role": "user", "content": self.user}]


@dataclass(frozen=True)
class Completion:
    """A server's reply as it came, with the tokens it counted."""

    text: str
    finish_reason: str
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class ChatReply(Generic[Schema]):
    """The reply to the request at `position`; `value` has the schema's type, or is None.

    `problem` says why there is no value or only a part of one, `lost` how many items of a
    damaged list weren't saved. `stored` is True where no server was asked.
    """

    position: int
    state: ReplyState
    value: Schema | None = None
    text: str = ""
    problem: str = ""
    lost: int = 0
    stored: bool = False


def wire_schema(schema: type[BaseModel]) -> dict[str, Any]:
    """Returns the JSON schema as strict servers want it: all fields required, no others, no limits of length."""
    closed: dict[str, Any] = _closed(schema.model_json_schema())
    return closed


def _closed(node: Any) -> Any:
    if isinstance(node, list):
        return [_closed(part) for part in node]
    if not isinstance(node, dict):
        return node
    closed = {name: _closed(part) for name, part in node.items() if name in _STRUCTURE}
    for named in ("properties", "$defs"):
        if named in node:
            closed[named] = {name: _closed(part) for name, part in node[named].items()}
    if "properties" in node:
        closed |= {"required": list(node["properties"]), "additionalProperties": False}
    return closed


def request_key(options: LanguageOptions, messages: list[Message], schema: type[BaseModel]) -> str:
    """Returns a hash of all that decides a reply: server, model, messages, parameters, schema."""
    whole = {
        "format": _FORMAT,
        "server": options.address(),
        "model": options.model_name(),
        "messages": messages,
        "temperature": options.temperature,
        "max_tokens": options.max_tokens,
        "schema": wire_schema(schema) if options.structured_output != "off" else None,
    }
    text = json.dumps(whole, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
