"""Sample data: synthetic files in the format of every source, so that everything can be tried without a download.

The same scale and seed give the same bytes on every machine. Two choices ensure that. Random numbers come from the raw
64-bit stream of PCG64, which numpy guarantees (its distributions may change between versions). And the arithmetic uses
only integers and operations that IEEE 754 defines exactly (+ - * / and square root).
"""

import tempfile
from pathlib import Path

from netflix_assets.dev.samples import movielens, netflix
from netflix_assets.dev.samples.common import check_size


def generate(folder: Path, scale: float = 1.0, seed: int = 1) -> list[Path]:
    """Write the sample files of every source into ``folder`` (created if missing) and return their paths.

    Scale 1 is 60,000 ratings, and 6,000 titles with 74,000 credits. Files are UTF-8 with LF line ends. When all of them
    are complete, each replaces the file of the same name by one rename; other files stay.

    Raises:
        ValueError: The scale is outside ``SCALES`` or the seed is negative.
    """
    check_size(scale, seed)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".samples-") as work:
        unfinished = Path(work)
        names = [name for source in (movielens, netflix) for name in source.write(unfinished, scale, seed)]
        return [(unfinished / name).replace(folder / name) for name in names]
