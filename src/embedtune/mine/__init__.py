"""Positives → hard negatives: documents that look right and aren't."""
