"""dbt's source definitions against the contracts."""

from netflix_assets.dev.dbt_sources import differences, render, sources_file
from netflix_assets.settings import read_settings


def test_dbt_sources_say_what_the_contracts_say() -> None:
    settings = read_settings()
    for source in settings.sources():
        text = sources_file(settings.dbt_project, source).read_text()
        assert list(differences(source, text)) == []


def test_a_drift_names_dataset_and_column() -> None:
    source = read_settings().sources()[0]
    drifted = render(source).replace("data_type: decimal(2,1)", "data_type: double")
    (difference,) = differences(source, drifted)
    assert difference.startswith("movielens/ratings, column rating: the contract says ")
    assert "decimal(2,1)" in difference
    assert "double" in difference
