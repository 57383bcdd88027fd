"""The second request after a reply that can't be used."""

from __future__ import annotations

from embedtune.data.languages import language_of
from embedtune.language.chat import Message

__all__ = ["repair_messages"]

_LONGEST_SHOWN = 4000
_ASK = {
    True: "上面的回复无法使用（{problem}）。请按最初要求的格式重新回复："
    "只输出一个合法的 JSON 对象，不要代码块，不要其他文字。",
    False: "That reply can't be used ({problem}). Reply again in the format asked for at first: "
    "one valid JSON object and nothing else, no code fence.",
}


def repair_messages(messages: list[Message], reply: str, problem: str) -> list[Message]:
    """Returns the conversation so far with the unusable reply and a request for a better one."""
    chinese = language_of(messages[0]["content"]).startswith("Chinese")
    return [
        *messages,
        {"role": "assistant", "content": reply[:_LONGEST_SHOWN] or "…"},
        {"role": "user", "content": _ASK[chinese].format(problem=problem)},
    ]
