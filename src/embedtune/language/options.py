"""Which language model is asked, how fast, and for how much."""

from __future__ import annotations

import os
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from embedtune.errors import LanguageError, OptionsError
from embedtune.options import Options

__all__ = ["KEY_VARIABLE", "LanguageOptions", "StructuredOutput"]

KEY_VARIABLE = "OPENAI_API_KEY"
_URL_VARIABLE = "OPENAI_BASE_URL"
_OPENAI_URL = "https://api.openai.com/v1"
_KEYLESS = "none"

StructuredOutput = Literal["auto", "on", "off"]


class LanguageOptions(Options):
    """The endpoint, its limits, and what it costs. The key comes from $OPENAI_API_KEY and nowhere else."""

    HEADING: ClassVar[str] = "Language model"

    base_url: str | None = Field(
        default=None,
        description="Address of an OpenAI-compatible server, such as http://localhost:8000/v1; "
        f"default: ${_URL_VARIABLE}, else OpenAI's own.",
    )
    model: str | None = Field(default=None, description="The model's name on that server.")
    temperature: float | None = Field(default=None, ge=0, description="Default: the server's own.")
    max_tokens: int = Field(default=1024, ge=1, description="Longest reply in tokens.")
    structured_output: StructuredOutput = Field(
        default="auto",
        description="Ask for replies by JSON schema: auto does until the server refuses, on insists, off doesn't.",
    )
    concurrency: int = Field(default=8, ge=1, le=1000, description="Requests under way at once.")
    requests_per_minute: int | None = Field(default=None, ge=1, description="Most requests in any minute.")
    tokens_per_minute: int | None = Field(
        default=None, ge=1, description="Most tokens in any minute, input and output together."
    )
    timeout_s: float = Field(default=120, gt=0, description="Seconds after which an unanswered request is given up.")
    retries: int = Field(default=6, ge=0, description="How often a failed request is sent again.")
    backoff_s: float = Field(
        default=1.0, ge=0, description="First wait after a failure; it doubles each time. A Retry-After goes before it."
    )
    input_price: float | None = Field(default=None, ge=0, description="Price of a million input tokens.")
    output_price: float | None = Field(default=None, ge=0, description="Price of a million output tokens.")
    budget: float | None = Field(
        default=None, ge=0, description="Most that this run may spend, in the currency of the prices; then it stops."
    )
    tokenizer: str | None = Field(
        default=None,
        description="A tokenizer.json, a folder with one, or a model on the Hub, to count tokens with; "
        "default: an estimate from the characters.",
    )

    @field_validator("base_url")
    @classmethod
    def _without_a_password(cls, value: str | None) -> str | None:
        if value is not None:
            parts = urlsplit(value)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("expected an address that begins with http:// or https://")
            if parts.username or parts.password or parts.query:
                raise ValueError(f"an address holds no key; put it into ${KEY_VARIABLE}")
        return value

    def address(self) -> str:
        """Returns the server's address, without a slash at its end."""
        return (self.base_url or os.environ.get(_URL_VARIABLE) or _OPENAI_URL).rstrip("/")

    def model_name(self) -> str:
        """Returns the model's name; raises OptionsError where none was given."""
        if not self.model:
            raise OptionsError("no language model was named", remedy="name one with --model")
        return self.model

    @staticmethod
    def has_key() -> bool:
        """Returns whether there is a key in the environment."""
        return bool(os.environ.get(KEY_VARIABLE, "").strip())

    def key(self) -> str:
        """Returns the key from the environment; only OpenAI's own server can't do without one."""
        key = os.environ.get(KEY_VARIABLE, "").strip()
        if not key and self.address() == _OPENAI_URL:
            raise LanguageError(
                f"${KEY_VARIABLE} isn't set",
                where=_OPENAI_URL,
                remedy=f"put the key into {KEY_VARIABLE}, or name another server with --base-url",
            )
        return key or _KEYLESS

    def prices(self) -> tuple[float, float] | None:
        """Returns the prices of a million input and output tokens, or None where they weren't given.

        Raises OptionsError for one without the other, and for a budget without prices.
        """
        if self.input_price is None and self.output_price is None:
            if self.budget is not None:
                raise OptionsError("a budget needs prices", remedy="give --input-price and --output-price")
            return None
        if self.input_price is None or self.output_price is None:
            raise OptionsError("one of two prices is missing", remedy="give both --input-price and --output-price")
        return self.input_price, self.output_price
