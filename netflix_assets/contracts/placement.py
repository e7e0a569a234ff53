"""Guess where a file with a wrong name or in a wrong folder belongs."""

from collections.abc import Sequence
from difflib import get_close_matches

from netflix_assets.contracts.model import Source

_CUTOFF = 0.75  # finds movielense, movie-lens and raitings; not every word


def likely_key(sources: Sequence[Source], key: str) -> str | None:
    """The object key that a file with this key was probably meant to have; None when nothing resembles it.

    The source whose name is closest to the folder's comes first. Of the file's name, only case, spaces and ``_`` for
    ``-`` are changed; if that does not help, the folder that holds it is taken for the start of the name, or the file
    of the dataset with the closest name, ``<anything>`` included, is suggested.
    """
    *folders, name = [part for part in key.split("/") if part not in ("", ".", "..")] or [""]
    by_name = {source.source: source for source in sources}
    close = get_close_matches(folders[0].lower(), by_name, n=1, cutoff=_CUTOFF) if folders else []
    ordered = [by_name[each] for each in dict.fromkeys((*close, *by_name))]
    plain = name.strip().lower()
    for variant in (name, plain, plain.replace("_", "-").replace(" ", "-")):
        for source in ordered:
            if source.dataset_of(f"{source.source}/{variant}"):
                return f"{source.source}/{variant}"
    for source in ordered:
        for stem in (dataset.file_stem for dataset in source.datasets):
            within = f"{source.source}/{stem}/{name}"
            if any(each.lower().startswith(stem) for each in folders[-1:]) and source.dataset_of(within):
                return within
    stems = {dataset.file_stem: dataset for source in reversed(ordered) for dataset in source.datasets}
    meant = get_close_matches(plain.partition(".")[0], stems, n=1, cutoff=_CUTOFF)
    return f"{stems[meant[0]].key_prefix}-<anything>.{stems[meant[0]].extension}" if meant else None
