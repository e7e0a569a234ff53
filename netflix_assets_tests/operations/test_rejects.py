"""Rejected records, exported to be fixed."""

from pathlib import Path

import pytest

from netflix_assets.contracts.loading import dataset_by_id, load_sources
from netflix_assets.operations.rejects import write_rejects

RATINGS = dataset_by_id(load_sources(), "movielens/ratings")
OTHER_ORDER = "movieId,userId,rating,timestamp"
WIDER = "movieId,device,userId,rating,timestamp"


@pytest.mark.parametrize(
    ("header", "record", "exported"),
    [
        (OTHER_ORDER, "6,78,7.5,1", "78,6,7.5,1"),
        (OTHER_ORDER, "6,78,3.0", "78,6,3.0,"),
        (OTHER_ORDER, "6", ",6,,"),
        (OTHER_ORDER, "6,78,3.0,1,x,y", "78,6,3.0,1,x,y"),
        (WIDER, "6,tv,78,7.5,1", "78,6,7.5,1"),
        (WIDER, "6,78,3.0,1", "3.0,6,1,,78"),
        (WIDER, "6,tv,78,3.0,1,x", "78,6,3.0,1,tv,x"),
        ("", "78,6,3.0", "78,6,3.0,"),
    ],
)
def test_values_follow_the_contracts_order_by_their_own_header(
    tmp_path: Path, header: str, record: str, exported: str
) -> None:
    file = tmp_path / "ratings-fixed.csv"
    assert write_rejects(RATINGS, [{"header": header, "raw_text": record}], file) == 1
    assert file.read_text() == f"userId,movieId,rating,timestamp\n{exported}\n"


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "ratings-fixed.csv"
    file.write_text("half fixed")
    with pytest.raises(FileExistsError):
        write_rejects(RATINGS, [], file)
    assert file.read_text() == "half fixed"
