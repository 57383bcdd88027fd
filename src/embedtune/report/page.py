"""Writes the page: one HTML file that loads nothing and runs nothing but its own script."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from embedtune.artifact import write_text_whole
from embedtune.report.catalogue import LANGUAGES, both, catalogue, say
from embedtune.report.content import ReportContent
from embedtune.report.cost_plots import cost_plots
from embedtune.report.mining_plots import ranks_plot, scores_plot
from embedtune.report.options import PageOptions
from embedtune.report.packing import pack
from embedtune.report.parts import Parts, cost_columns, cost_value, guard_outcome, kept_words, number
from embedtune.report.training_plots import interval_bar, loss_plot, score_curve

__all__ = ["render_report", "write_report"]

_MEGABYTE = 1_000_000
_SCRIPT_WORDS = ("explorer.", "cause.")


def write_report(content: ReportContent, path: str | Path, options: PageOptions | None = None) -> None:
    """Writes the page whole; raises StorageError where it can't be written."""
    write_text_whole(Path(path), render_report(content, options))


def render_report(content: ReportContent, options: PageOptions | None = None) -> str:
    """Returns the page's HTML; the queries take the room that the rest of the page leaves them."""
    options = options or PageOptions()
    template = _environment().get_template("report.html.jinja")
    shown = _frame(options) | _parts(content)
    page: str = template.render(shown, data="")
    if content.explorer is None:
        return page
    room = int(options.max_megabytes * _MEGABYTE) - len(page.encode())
    return str(template.render(shown, data=Markup(pack(content.explorer, room))))  # noqa: S704  # base64


def _frame(options: PageOptions) -> dict[str, Any]:
    """Returns what is on every page."""
    style, script = (_source(name) for name in ("report.css", "report.js"))
    return {
        "language": "en" if options.language == "auto" else options.language,
        "fixed": options.language != "auto",
        "languages": LANGUAGES,
        "policy": _policy(style, script),
        "style": Markup(style),  # noqa: S704  # a file of this package
        "script": Markup(script),  # noqa: S704
        "explorer_words": _script_words(),
    }


def _parts(content: ReportContent) -> dict[str, Any]:
    parts = Parts(content)
    return {
        "content": content,
        "parts": parts.names(),
        "measures": parts.measures(),
        "side_measures": parts.side_measures(),
        "mean_bounds": parts.mean_bounds(),
        "difference_bounds": parts.difference_bounds(),
        "guard_bounds": parts.guard_bounds(),
        "choice_bounds": parts.choice_bounds(),
        "limited": any(guard.allowed_loss is not None for guard in content.guards),
        "cost_plots": cost_plots(content.systems, content.measure),
        "cost_names": cost_columns(content.systems),
        "ranks_plot": None if content.mining is None else ranks_plot(content.mining),
        "scores_plot": None if content.mining is None else scores_plot(content.mining),
    }


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("embedtune.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.globals |= {
        "t": lambda key, **values: both(say(key, **values)),
        "both": both,
        "known": lambda key, otherwise: both(say(key)) if key in catalogue("en") else otherwise,
        "number": number,
        "kept": lambda curve: both(kept_words(curve)),
        "outcome": guard_outcome,
        "cost_value": cost_value,
        "interval_bar": interval_bar,
        "score_curve": score_curve,
        "loss_plot": loss_plot,
    }
    return environment


def _source(name: str) -> str:
    return resources.files("embedtune.report").joinpath("templates", name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Returns a Content-Security-Policy under which nothing is fetched and only these two texts take effect."""
    style_hash, script_hash = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    )
    return (
        f"default-src 'none'; style-src 'sha256-{style_hash}'; script-src 'sha256-{script_hash}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _script_words() -> Markup:
    """Returns the words that the script shows, as JSON that can't end its element."""
    words: dict[str, Any] = {
        language: {key: text for key, text in catalogue(language).items() if key.startswith(_SCRIPT_WORDS)}
        for language in LANGUAGES
    }
    return Markup(json.dumps(words, ensure_ascii=False).replace("<", "\\u003c"))  # noqa: S704
