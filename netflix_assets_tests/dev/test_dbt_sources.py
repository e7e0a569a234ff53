"""dbt's source definitions against the contracts."""

from pathlib import Path

import pytest

from netflix_assets.dev.dbt_sources import differences, main, render, sources_file
from netflix_assets.settings import read_settings


def test_dbt_sources_say_what_the_contracts_say() -> None:
    settings = read_settings()
    for source in settings.sources():
        text = sources_file(settings.dbt_project, source).read_text()
        assert list(differences(source, text)) == []


def test_a_drift_names_dataset_and_column() -> None:
    (source,) = (each for each in read_settings().sources() if each.source == "movielens")
    drifted = render(source).replace("data_type: decimal(2,1)", "data_type: double")
    (difference,) = differences(source, drifted)
    assert difference.startswith("movielens/ratings, column rating: the contract says ")
    assert "decimal(2,1)" in difference
    assert "double" in difference


@pytest.mark.parametrize("text", ["source: shop\ndescription: Shop.\ndatasets: {things: {}}\n", "source: [\n"])
def test_an_invalid_contract_is_named_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (tmp_path / "shop.yaml").write_text(text)
    monkeypatch.setenv("NETFLIX_CONTRACTS", str(tmp_path))
    monkeypatch.setenv("NETFLIX_DBT_PROJECT", str(tmp_path / "dbt"))
    with pytest.raises(SystemExit) as stopped:
        main()
    (line,) = capsys.readouterr().err.splitlines()
    assert (stopped.value.code, "shop.yaml" in line) == (2, True)
    assert not (tmp_path / "dbt").exists()
