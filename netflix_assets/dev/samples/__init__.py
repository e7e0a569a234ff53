"""Sample data: invented files in the shape of every source, so that all can be seen at work without a download.

Belongs here: that the files are made, whole and of the same bytes everywhere. Does not belong here: what they hold
(``movielens.py``, ``netflix.py``), where they are put (``cli.py``).

The same scale and seed give the same bytes on every machine. Two choices serve that: random numbers are taken
from PCG64's raw 64-bit stream, which numpy guarantees (it reserves the right to change the distributions made
from it), and the arithmetic on them uses only operations that IEEE 754 defines to the last bit (+ - * / and
square root) or integers.
"""

import tempfile
from pathlib import Path

from netflix_assets.dev.samples import movielens, netflix

SCALES = (0.01, 25.0)  # the smallest and the largest scale


def generate(folder: Path, scale: float = 1.0, seed: int = 1) -> list[Path]:
    """Write the sample files of every source into a folder (made if missing) and return their paths.

    Files of the same names are replaced, one rename each, after all of them are complete; other files stay. What a
    scale means stands with each source; 1 is 60,000 ratings, and a catalogue of 6,000 titles with 74,000 credits.
    UTF-8, LF line ends.

    Raises: ValueError when the scale is outside ``SCALES`` or the seed is negative.
    """
    if not SCALES[0] <= scale <= SCALES[1]:
        raise ValueError(f"scale {scale} is not between {SCALES[0]:g} and {SCALES[1]:g}")
    if seed < 0:
        raise ValueError(f"seed {seed} is negative")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".samples-") as work:
        unfinished = Path(work)
        names = [name for source in (movielens, netflix) for name in source.write(unfinished, scale, seed)]
        return [(unfinished / name).replace(folder / name) for name in names]
