"""One attempt at one request to a chat-completions server; what goes wrong is sorted, not retried.

The official client does the talking, with its own retries off.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn

from pydantic import BaseModel

from embedtune.errors import LanguageError, MissingPackageError
from embedtune.language.chat import Completion, Message, wire_schema
from embedtune.language.dialect import Dialect, Wording
from embedtune.language.options import LanguageOptions

__all__ = ["AttemptFailedError", "ChatClient", "RequestRefusedError"]

_LONGEST_RETRY_AFTER_S = 900.0
_RETRIED = frozenset({408, 409, 425, 429})
_REFUSED = {
    401: "the server doesn't accept the key",
    402: "the account has no money left",
    403: "the server doesn't allow this key to use the model",
    404: "the server doesn't know the address or the model",
}
_TRANSPORTS = frozenset({"httpx", "httpx2", "httpcore", "httpcore2", "h11"})
_LONGEST_SAID = 300


class AttemptFailedError(Exception):
    """An attempt failed in a way that may pass; the server may ask to wait, and may have done the work."""

    def __init__(self, reason: str, wait_s: float | None = None, *, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.wait_s = wait_s
        self.timed_out = timed_out


class RequestRefusedError(Exception):
    """The server doesn't take this request; it may take others."""


class ChatClient:
    """Speaks to one server; shared by threads."""

    def __init__(self, options: LanguageOptions) -> None:
        try:
            import openai
        except ModuleNotFoundError as error:
            raise MissingPackageError(
                "asking a language model needs the package 'openai', which isn't installed",
                remedy="pip install 'embedtune[openai]'",
            ) from error
        self._openai = openai
        self._options = options
        self._key = options.key()
        self._dialect = Dialect(options.structured_output)
        self._client = openai.OpenAI(
            api_key=self._key, base_url=options.address(), max_retries=0, timeout=options.timeout_s
        )

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def attempt(self, messages: list[Message], schema: type[BaseModel]) -> Completion:
        """Returns the reply, in another wording where the server refuses the first.

        Raises AttemptFailedError, RequestRefusedError, or LanguageError where no request can work.
        """
        first = wording = self._dialect.wording()
        while True:
            try:
                completion = self._send(messages, schema, wording)
            except (self._openai.BadRequestError, self._openai.UnprocessableEntityError) as error:
                other = self._dialect.other(wording, self._said(error))
                if other is None:
                    raise RequestRefusedError(f"the server refuses the request: {self._said(error)}") from None
                wording = other
                continue
            if wording != first:
                self._dialect.adopt(wording)
            return completion

    def _send(self, messages: list[Message], schema: type[BaseModel], wording: Wording) -> Completion:
        parameters: dict[str, Any] = {
            "model": self._options.model_name(),
            "messages": messages,
            wording.limit_name: self._options.max_tokens,
        }
        if self._options.temperature is not None:
            parameters["temperature"] = self._options.temperature
        if wording.with_schema:
            described = {"name": schema.__name__.lower(), "schema": wire_schema(schema), "strict": True}
            parameters["response_format"] = {"type": "json_schema", "json_schema": described}
        deadline = time.monotonic() + self._options.timeout_s
        body = bytearray()
        with (
            self._faults_sorted(),
            self._client.chat.completions.with_streaming_response.create(**parameters) as response,
        ):
            for piece in response.iter_bytes():
                body += piece
                if time.monotonic() > deadline:  # a server that sends a blank now and then
                    raise AttemptFailedError(self._too_slow(), timed_out=True)
        return self._read(bytes(body))

    def _read(self, body: bytes) -> Completion:
        """Returns the reply in a response's body; raises AttemptFailedError for a body that isn't one."""
        try:
            content = json.loads(body)
            choice = content["choices"][0] if content["choices"] else {}
            message = choice.get("message") or {}
            usage = content.get("usage") or {}
            return Completion(
                self._hidden(str(message.get("content") or message.get("refusal") or "")),
                str(choice.get("finish_reason") or ""),
                int(usage.get("prompt_tokens") or 0),
                int(usage.get("completion_tokens") or 0),
            )
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise AttemptFailedError(f"the server's answer isn't a chat completion ({error!r})") from None

    @contextmanager
    def _faults_sorted(self) -> Iterator[None]:
        openai = self._openai
        try:
            yield
        except (openai.BadRequestError, openai.UnprocessableEntityError):
            raise
        except openai.APITimeoutError:
            raise AttemptFailedError(self._too_slow(), timed_out=True) from None
        except openai.APIStatusError as error:
            self._sort_status(error)
        except openai.APIConnectionError as error:
            reason = self._hidden(str(error.__cause__ or error))
            raise AttemptFailedError(f"{self._options.address()} can't be reached: {reason}") from None
        except AttemptFailedError:
            raise
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in _TRANSPORTS and not isinstance(error, OSError):
                raise
            timed_out = "Timeout" in type(error).__name__
            reason = self._too_slow() if timed_out else f"the connection broke: {error!r}"
            raise AttemptFailedError(reason, timed_out=timed_out) from None

    def _sort_status(self, error: Any) -> NoReturn:
        status = int(error.status_code)
        if status in _REFUSED or getattr(error, "code", None) == "insufficient_quota":
            raise LanguageError(
                f"{_REFUSED.get(status, _REFUSED[402])}: {self._said(error)}",
                where=f"{self._options.address()}, model {self._options.model_name()!r}",
                remedy="check --base-url, --model and the key in the environment; stored replies are kept",
            ) from None
        if status not in _RETRIED and status < 500:
            raise RequestRefusedError(f"status {status}: {self._said(error)}") from None
        wait_s = _retry_after_s(error.response.headers)
        if wait_s is not None and wait_s > _LONGEST_RETRY_AFTER_S:
            raise LanguageError(
                f"the server asks to wait {wait_s:.0f} s",
                where=self._options.address(),
                remedy="run the command again then; stored replies are kept and not asked for again",
            ) from None
        raise AttemptFailedError(f"status {status}: {self._said(error)}", wait_s) from None

    def _hidden(self, text: str) -> str:
        """Returns the text without the key, should a server send it back."""
        return text.replace(self._key, "[key]") if self._options.has_key() else text

    def _said(self, error: Any) -> str:
        text = " ".join(self._hidden(str(getattr(error, "message", error))).split())
        return text if len(text) <= _LONGEST_SAID else text[: _LONGEST_SAID - 1] + "…"

    def _too_slow(self) -> str:
        return f"no answer within {self._options.timeout_s:g} s"


def _retry_after_s(headers: Any) -> float | None:
    """Returns how long a server asks to wait, from its headers; None where it doesn't say."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            return max(0.0, float(value) * unit_s)
        except ValueError:
            pass
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except (ValueError, TypeError):
            continue
    return None
