"""A corpus on disk in blocks that are encoded on their own; always the same ones, so that work can go on."""

from __future__ import annotations

from typing import NamedTuple

from embedtune.data.table_texts import TableTexts
from embedtune.errors import DataError

__all__ = ["Block", "plan_blocks", "read_block"]


class Block(NamedTuple):
    """The groups of a table from `first_group` up to, not including, `end_group`; its rows begin at `first_row`."""

    number: int
    first_group: int
    end_group: int
    first_row: int
    documents: int

    def __str__(self) -> str:
        return f"block {self.number} (documents {self.first_row + 1:,} to {self.first_row + self.documents:,})"


def plan_blocks(corpus: TableTexts, documents: int) -> list[Block]:
    """Returns the corpus in blocks of at most so many documents, but of one group at the least."""
    blocks: list[Block] = []
    first_group = first_row = size = 0
    for group, rows in enumerate(corpus.group_sizes):
        if size and size + rows > documents:
            blocks.append(Block(len(blocks), first_group, group, first_row, size))
            first_group, first_row, size = group, first_row + size, 0
        size += rows
    if size:
        blocks.append(Block(len(blocks), first_group, len(corpus.group_sizes), first_row, size))
    return blocks


def read_block(corpus: TableTexts, block: Block) -> dict[str, str]:
    """Returns document id → text of a block; raises DataError that names it where it can't be read."""
    texts: dict[str, str] = {}
    try:
        for group in range(block.first_group, block.end_group):
            texts.update(zip(*corpus.group(group), strict=True))
    except DataError as error:
        raise DataError(f"{block} can't be read: {error.found}", where=error.where, remedy=error.remedy) from error
    if len(texts) != block.documents:
        raise DataError(f"{block} holds {len(texts):,} different ids", remedy="give every document an id of its own")
    return texts
