"""HTML: the text of its blocks and its h1 to h6; scripts, styles and navigation are left out, nothing is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from selectolax.lexbor import LexborHTMLParser, LexborNode

from embedtune.data.source_document import SourceDocument, TextBuilder
from embedtune.data.text_files import read_text

__all__ = ["parse"]

_LEFT_OUT = ["script", "style", "noscript", "template", "nav", "header", "footer", "aside", "svg", "form", "iframe"]
_INLINE = frozenset(
    "a abbr b bdi bdo cite code data del dfn em font i ins kbd label mark q rp rt ruby s samp small span strike "  # noqa: SIM905
    "strong sub sup time tt u var wbr".split()
)
_CELLS = frozenset({"td", "th"})
_HEADING = re.compile(r"h([1-6])")
_BLANKS = re.compile(r"[ \t\r\n\f]+")


def parse(path: Path) -> Iterator[SourceDocument]:
    """Yields the page's text, a block a paragraph; lines of <pre> stay lines."""
    tree = LexborHTMLParser(read_text(path))
    tree.strip_tags(_LEFT_OUT, recursive=True)
    reader = _Reader()
    if tree.body is not None:
        reader.read(tree.body)
    reader.end_block()
    yield reader.builder.document()


class _Reader:
    """Gathers the text of inline nodes until a block begins or ends."""

    def __init__(self) -> None:
        self.builder = TextBuilder()
        self._pieces: list[str] = []

    def read(self, root: LexborNode) -> None:
        """Walks the tree in document order, without recursion, however deep it is."""
        node: LexborNode | None = root
        while node is not None:
            self._enter(node)
            below = None if node.tag == "pre" else node.child
            while below is None and node is not None:
                self._leave(node)
                if node.mem_id == root.mem_id:
                    return
                below = node.next
                node = node.parent if below is None else node
            node = below

    def end_block(self, level: int | None = None) -> None:
        """Ends a paragraph or a heading."""
        lines = (_BLANKS.sub(" ", line).strip() for line in "".join(self._pieces).split("\v"))
        self.builder.add("\n".join(line for line in lines if line), level)
        self._pieces.clear()

    def _enter(self, node: LexborNode) -> None:
        if node.is_text_node:
            self._pieces.append(node.text_content or "")
        elif node.tag == "br":
            self._pieces.append("\v")
        elif node.tag == "pre":
            self.end_block()
            self.builder.add(node.text())
        elif node.tag not in _INLINE | _CELLS:
            self.end_block()

    def _leave(self, node: LexborNode) -> None:
        if node.tag in _CELLS:
            self._pieces.append(" | ")
        elif node.is_element_node and node.tag not in _INLINE and node.tag not in ("br", "pre"):
            heading = _HEADING.fullmatch(node.tag or "")
            self.end_block(int(heading[1]) if heading else None)
