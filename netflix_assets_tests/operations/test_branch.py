"""Which nodes a branch builds, by the project's own manifest."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from netflix_assets.operations.branch import affected_nodes, build_branch, changed_variables, uses_of
from netflix_assets.operations.errors import InputError, OperationError
from netflix_assets.settings import REPO, read_settings
from netflix_assets_tests.demo import Demo

Manifest = Mapping[str, Any]


@pytest.fixture(scope="module")
def manifest(demo: Demo) -> Manifest:
    return json.loads((demo.home / "dbt" / "target-local" / "manifest.json").read_text())


def named(kind: str, name: str, manifest: Manifest) -> str:
    return next(
        each for each, node in manifest["nodes"].items() if node["resource_type"] == kind and node["name"] == name
    )


def names(ids: frozenset[str]) -> set[str]:
    return {each.rpartition(".")[2] for each in ids}


def test_a_changed_source_builds_all_that_read_it(manifest: Manifest) -> None:
    found = names(affected_nodes({"source.netflix_assets.netflix.titles"}, manifest))
    assert {"stg_netflix__titles", "dim_netflix_titles"} <= found
    assert found.isdisjoint({"stg_movielens__tags", "fct_ratings"})


def test_a_changed_test_builds_what_it_reads_and_nothing_that_depends_on_that(manifest: Manifest) -> None:
    test = next(
        each for each, node in manifest["nodes"].items()
        if node["resource_type"] == "test" and node.get("attached_node") == "model.netflix_assets.fct_ratings"
        and "relationships" in each
    )  # fmt: skip
    assert names(affected_nodes({test}, manifest)) == {"fct_ratings"}
    singular = named("test", "rating_versions_agree_with_ratings", manifest)
    assert names(affected_nodes({singular}, manifest)) == {"fct_ratings", "fct_rating_versions"}
    # With a node that it reads, it runs anyway.
    mart = "model.netflix_assets.mart_ratings_by_genre_decade"
    test = next(each for each in manifest["child_map"][mart] if each.startswith("test."))
    assert affected_nodes({mart, test}, manifest) == affected_nodes({mart}, manifest)


def test_variables_are_found_in_nodes_tests_and_through_macros(manifest: Manifest) -> None:
    assert names(affected_nodes(uses_of({"n_top_tags"}, manifest), manifest)) >= {"dim_movies_with_tags"}
    through_a_macro = uses_of({"as_of_date"}, manifest)  # only macros/as_of_date.sql reads it
    readers = {
        each
        for each, node in manifest["nodes"].items()
        if "macro.netflix_assets.as_of_date" in node["depends_on"]["macros"]
    }
    assert readers
    assert readers <= through_a_macro
    assert uses_of({"n_top"}, manifest) == uses_of((), manifest) == set()


def test_every_variable_of_the_project_is_read_somewhere(manifest: Manifest) -> None:
    variables = yaml.safe_load((REPO / "dbt" / "dbt_project.yml").read_text())["vars"]
    assert [name for name in variables if not uses_of({name}, manifest)] == []


def test_changed_variables_are_those_that_differ(tmp_path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    for folder, text in ((before, "vars: {a: 1, b: 2}"), (after, "vars: {b: 3, c: 4}")):
        folder.mkdir()
        (folder / "dbt_project.yml").write_text(text)
    assert changed_variables(before, after) == {"a", "b", "c"}


def test_a_base_without_a_dbt_project_is_named(tmp_path: Path) -> None:
    settings = read_settings(home=tmp_path / "home", schema_prefix="pr_7_")
    with pytest.raises(InputError, match=f"^--base {tmp_path} is not a dbt project: it has no dbt_project.yml$"):
        build_branch(settings, tmp_path)
    with pytest.raises(InputError, match=f"it has no dbt_project.yml. Pass --base {REPO / 'dbt'}$"):
        build_branch(settings, REPO)


def test_a_base_that_dbt_cannot_read_is_an_error_in_words(tmp_path: Path) -> None:
    settings = read_settings(home=tmp_path / "home", schema_prefix="pr_7_")
    (tmp_path / "dbt_project.yml").write_text("name: base\nprofile: missing\n")
    with pytest.raises(InputError, match=r"it has no profiles.yml$"):
        build_branch(settings, tmp_path)
    shutil.copy(REPO / "dbt" / "profiles.yml", tmp_path)
    with pytest.raises(OperationError, match=f"dbt cannot read {tmp_path}"):
        build_branch(settings, tmp_path)
