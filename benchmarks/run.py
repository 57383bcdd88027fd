"""Runs every speed benchmark and writes the table: python -m benchmarks.run SHARED_DATA.

SHARED_DATA is the folder of real collections, which some of them read. Give the machine to it alone.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
WITH_DATA = ("dataset_opening.py", "dataset_scale.py", "encode_speed.py", "train_speed.py", "scale.py", "ray_rates.py")
ALONE = ("cache_speed.py", "search_speed.py", "metrics_speed.py")


def main() -> None:
    """Runs the files that are there, one after another, then the table."""
    shared = sys.argv[1]
    for name in (*ALONE, *WITH_DATA, "scale_table.py", "performance_table.py"):
        if (HERE / name).exists():
            words = [sys.executable, str(HERE / name), *([shared] if name in WITH_DATA else [])]
            subprocess.run(words, check=True)


if __name__ == "__main__":
    main()
