"""What a server understands of the protocol, learnt from what it refuses."""

from __future__ import annotations

import threading
from typing import NamedTuple

from embedtune import progress
from embedtune.language.options import StructuredOutput

__all__ = ["Dialect", "Wording"]

_OLD_LIMIT = "max_tokens"
_NEW_LIMIT = "max_completion_tokens"


class Wording(NamedTuple):
    """How a request is put."""

    with_schema: bool
    limit_name: str


class Dialect:
    """The wording for the next request; shared by threads."""

    def __init__(self, structured_output: StructuredOutput) -> None:
        self._wording = Wording(structured_output != "off", _OLD_LIMIT)
        self._may_drop_schema = structured_output == "auto"
        self._lock = threading.Lock()

    def wording(self) -> Wording:
        """Returns how to put a request."""
        with self._lock:
            return self._wording

    def other(self, refused: Wording, said: str) -> Wording | None:
        """Returns another wording worth trying after a refusal, or None."""
        if _NEW_LIMIT in said and refused.limit_name == _OLD_LIMIT:
            return refused._replace(limit_name=_NEW_LIMIT)
        if refused.with_schema and self._may_drop_schema:
            return refused._replace(with_schema=False)
        return None

    def adopt(self, understood: Wording) -> None:
        """Keeps a wording that was answered where another had been refused."""
        with self._lock:
            if self._wording.with_schema and not understood.with_schema:
                progress.say("the server takes no JSON schema; its replies are checked here instead")
            self._wording = understood
