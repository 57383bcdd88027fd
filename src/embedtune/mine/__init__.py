"""Positives → hard negatives: documents that look right and aren't."""

from embedtune.mine.mining import mine_negatives
from embedtune.mine.options import MineOptions
from embedtune.mine.report import MinedNegative, MiningReport
from embedtune.mine.written import with_negatives

__all__ = ["MineOptions", "MinedNegative", "MiningReport", "mine_negatives", "with_negatives"]
