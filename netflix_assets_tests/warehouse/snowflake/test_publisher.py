"""Publishing on Snowflake, against the emulator: the order of the statements, and what consumers see meanwhile."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from snowflake.connector.errors import DatabaseError

from netflix_assets.contracts.visibility import Showable
from netflix_assets.settings import SnowflakeSettings, read_settings
from netflix_assets.warehouse.builds import NotServableError
from netflix_assets.warehouse.diff import compare
from netflix_assets.warehouse.publishing import (
    Built,
    Publication,
    Published,
    PublishingError,
    ServedTable,
    VersionNotKeptError,
    problem_of,
)
from netflix_assets.warehouse.snowflake.publisher import SnowflakePublisher
from netflix_assets.warehouse.snowflake.warehouse import SnowflakeWarehouse
from netflix_assets_tests.emulator.fixtures import SnowflakeDatabase, Statement
from netflix_assets_tests.warehouse.publishing import MARTS, STORED, begin_build, build, finish_build

pytestmark = pytest.mark.emulated


@dataclass
class Account:
    """A database with a build, and its serving database."""

    database: SnowflakeDatabase
    serving: str
    warehouse: SnowflakeWarehouse

    @property
    def publisher(self) -> SnowflakePublisher:
        return SnowflakePublisher(self.warehouse, self.serving)

    def publish(self) -> Published:
        return self.publisher.publish(MARTS)

    def visible_builds(self) -> set[int]:
        """The build numbers that a consumer sees in one query over all published tables."""
        union = " union ".join(f"select content from {self.serving}.{mart.full_name}" for mart in MARTS)
        return {content for (content,) in self.database.server.execute(union)}

    def sent(self) -> list[Statement]:
        return [each for each in self.database.server.statements(self.database.start) if self.serving in each.text]


@pytest.fixture
def account(snowflake_database: SnowflakeDatabase) -> Iterator[Account]:
    serving = f"{snowflake_database.name}_SERVING"
    schemas = ("core", "marts", "core_next", "marts_next")
    with (
        snowflake_database.server.new_database(serving),
        SnowflakeWarehouse(snowflake_database.connect) as warehouse,
    ):
        snowflake_database.server.execute(*(f"create schema {serving}.{schema}" for schema in schemas))
        yield Account(snowflake_database, serving, warehouse)


def test_a_complete_passed_build_is_cloned_and_swapped_in(account: Account) -> None:
    build(account.warehouse, 1, inputs={"shop/things": 1})
    load = {
        "dataset": "shop/things", "load_id": 1, "object_key": "shop/things.csv", "etag": "e1", "size_bytes": 10,
        "rows_loaded": 7, "is_current": True,
    }  # fmt: skip
    account.warehouse.insert_rows("loads", [load, {**load, "load_id": 2}])
    assert account.publisher.published() is None

    outcome = account.publish()

    assert outcome.is_new
    assert account.visible_builds() == {1}
    assert account.publisher.published() == outcome.publication
    assert outcome.publication.tables == dict.fromkeys((mart.full_name for mart in MARTS), 10)
    for schema in ("core", "marts"):
        objects = account.database.server.execute(f"select * from {account.serving}.{schema}.publication_objects")
        assert objects == [("shop/things", "shop/things.csv", "e1", 10, 1, 7)]
    assert problem_of(account.warehouse, outcome.publication) is None


def test_the_shadow_schemas_are_complete_before_both_are_renamed(account: Account) -> None:
    build(account.warehouse, 1)
    account.publish()
    changes = [each.line for each in account.sent() if not each.line.startswith(("select", "create schema"))]
    shadow = f"{account.serving}.{{}}_next"
    assert changes[-2:] == [
        f"alter schema {account.serving}.{schema} swap with {shadow.format(schema)}" for schema in ("core", "marts")
    ]
    assert not [line for line in changes[:-2] if "swap" in line]
    create = "create or replace transient table"
    assert [line for line in changes if line.startswith(create) and "publication" not in line] == [
        f"{create} {shadow.format('core')}.fct_ratings clone core.fct_ratings",
        f"{create} {shadow.format('marts')}.mart_by_hour as select * from marts.mart_by_hour",  # cannot be cloned
        f"{create} {shadow.format('marts')}.mart_movies clone marts.mart_movies",
    ]
    assert all(
        f"{account.serving}.core_next." in line or f"{account.serving}.marts_next." in line for line in changes[:-2]
    )


def test_a_build_is_published_only_once(account: Account) -> None:
    build(account.warehouse, 1)
    first = account.publish()
    server, start = account.database.server, account.database.start
    before = len(server.statements(start))
    again = account.publish()
    assert (again.is_new, again.publication) == (False, first.publication)
    asked = [each.line for each in server.statements(start)[before:]]
    assert all(line.startswith("select") for line in asked)
    assert len(asked) <= 6, asked


def cloned(account: Account, since: int) -> list[str]:
    """The tables that were cloned or copied since a statement."""
    create = "create or replace transient table "
    targets = (each.line.removeprefix(create).split()[0] for each in account.sent()[since:] if create in each.line)
    return [target.split(".", 1)[1] for target in targets if "publication" not in target]


def test_tables_that_are_in_the_shadow_unchanged_are_not_cloned_again(account: Account) -> None:
    build(account.warehouse, 1)
    assert account.publish().shared == frozenset()
    shared, clones = [], []
    for number in (2, 3, 4):
        build(account.warehouse, number, unchanged={"core.fct_ratings"} if number == 4 else STORED)
        before = len(account.sent())
        shared.append(account.publish().shared)
        clones.append(cloned(account, before))
    every = ["core_next.fct_ratings", "marts_next.mart_by_hour", "marts_next.mart_movies"]
    # The shadow is empty before the second publication, and has the tables of the first before the third.
    assert clones == [every, ["marts_next.mart_by_hour"], ["marts_next.mart_by_hour", "marts_next.mart_movies"]]
    assert shared == [frozenset(), STORED, {"core.fct_ratings"}]
    for schema, builds in (("marts", {4}), ("marts_next", {1})):
        rows = account.database.server.execute(f"select distinct content from {account.serving}.{schema}.mart_movies")
        assert {content for (content,) in rows} == builds
    assert account.database.server.execute(f"select distinct content from {account.serving}.core.fct_ratings") == [(1,)]


def test_nothing_is_shared_with_a_set_whose_publisher_was_killed_or_that_lost_a_row(account: Account) -> None:
    for number in (1, 2):
        build(account.warehouse, number, unchanged=STORED if number == 2 else ())
        account.publish()
    build(account.warehouse, 3)
    pattern = "create or replace transient table .*mart_movies"
    with account.database.server.failing(pattern, 1), pytest.raises(DatabaseError):
        account.publish()
    assert account.publish().shared == frozenset()
    assert account.visible_builds() == {3}

    build(account.warehouse, 4, unchanged=STORED)
    account.publish()
    account.database.server.execute(f"delete from {account.serving}.marts_next.mart_movies where number = 3")
    build(account.warehouse, 5, unchanged=STORED)
    assert account.publish().shared == frozenset()
    assert account.visible_builds() == {3, 5}


def test_the_next_build_replaces_the_last_and_drops_removed_models(account: Account) -> None:
    build(account.warehouse, 1)
    account.publisher.publish(MARTS)
    build(account.warehouse, 2)
    account.publish()
    build(account.warehouse, 3)
    account.publisher.publish(MARTS[:2])
    names = account.database.server.execute(
        f"""
        select lower(table_schema), lower(table_name) from {account.serving}.information_schema.tables
        where table_schema in ('CORE', 'MARTS') order by 1, 2
        """
    )
    own = ("publication", "publication_objects")
    assert names == sorted(
        [
            ("core", "fct_ratings"),
            ("marts", "mart_by_hour"),
            *((schema, name) for schema in ("core", "marts") for name in own),
        ]
    )


def test_a_failed_build_leaves_the_published_tables_alone(account: Account) -> None:
    build(account.warehouse, 1)
    first = account.publish()
    build(account.warehouse, 2, has_passed=False, problem="test unique_x: Got 3 results")
    before = len(account.sent())
    with pytest.raises(NotServableError, match="unique_x"):
        account.publish()
    assert all(each.line.startswith("select") for each in account.sent()[before:])
    assert account.visible_builds() == {1}
    assert account.publisher.published() == first.publication
    assert "unique_x" in str(problem_of(account.warehouse, first.publication))


def test_a_build_started_during_cloning_is_detected(account: Account, monkeypatch) -> None:
    build(account.warehouse, 1)
    account.publish()
    build(account.warehouse, 2)
    meanwhile(monkeypatch, lambda: begin_build(account.warehouse, 3))
    with pytest.raises(NotServableError, match="has not ended"):
        account.publish()
    assert account.visible_builds() == {1}


def test_a_complete_build_during_cloning_is_detected(account: Account, monkeypatch) -> None:
    build(account.warehouse, 1)
    account.publish()
    build(account.warehouse, 2)
    meanwhile(monkeypatch, lambda: finish_build(account.warehouse, 3, "another"))
    with pytest.raises(NotServableError, match="another build ran while the tables were copied"):
        account.publish()
    assert account.visible_builds() == {1}


def test_the_later_of_two_concurrent_publishers_wins(account: Account, monkeypatch) -> None:
    build(account.warehouse, 1)
    other: list[Published] = []
    with pytest.MonkeyPatch.context() as patch:
        meanwhile(patch, lambda: (patch.undo(), other.append(account.publish())))
        with pytest.raises(PublishingError, match="another process is publishing"):
            account.publish()
    assert account.publisher.published() == other[0].publication
    assert account.visible_builds() == {1}


def meanwhile(patch: pytest.MonkeyPatch, action) -> None:
    """Run ``action`` after the first table was cloned."""
    clone = SnowflakePublisher._clone

    def clone_and_more(self, mart) -> None:
        clone(self, mart)
        if mart == MARTS[0]:
            action()

    patch.setattr(SnowflakePublisher, "_clone", clone_and_more)


@pytest.mark.parametrize("pattern", ["create or replace transient table .*mart_movies", "alter schema .*core swap"])
def test_a_failure_before_the_first_rename_keeps_the_old_set(account: Account, pattern: str) -> None:
    build(account.warehouse, 1)
    first = account.publish()
    build(account.warehouse, 2)
    with account.database.server.failing(pattern, 1), pytest.raises(DatabaseError):
        account.publish()
    assert account.visible_builds() == {1}
    assert account.publisher.published() == first.publication
    assert account.publish().is_new
    assert account.visible_builds() == {2}


def publish_two(account: Account) -> tuple[Publication, Publication]:
    """Build and publish twice; the first version is in the shadow then."""
    versions = []
    for number in (1, 2):
        build(account.warehouse, number)
        versions.append(account.publish().publication)
    return versions[0], versions[1]


def test_the_version_before_is_pinned_and_unpinned_by_a_swap(account: Account) -> None:
    first, second = publish_two(account)
    assert account.publisher.versions() == [second, first]
    before = len(account.sent())

    pinned = account.publisher.pin(first.version)

    assert account.visible_builds() == {1}
    shown = account.publisher.published()
    assert (shown.version, shown.pinned_at) == (first.version, pinned.pinned_at)
    assert shown.pinned_at is not None
    assert "this version is pinned" in str(problem_of(account.warehouse, shown))
    changes = [each.line.split()[0] for each in account.sent()[before:] if not each.line.startswith("select")]
    assert changes == ["update", "update", "alter", "alter"]

    assert account.publisher.unpin() == second
    assert account.visible_builds() == {2}
    assert account.publisher.published() == second
    assert account.publisher.versions() == [second, first]


def test_the_current_version_is_pinned_where_it_is(account: Account) -> None:
    _, second = publish_two(account)
    account.publisher.pin(second.version)
    assert account.publisher.published().pinned_at is not None
    assert account.visible_builds() == {2}
    account.publisher.unpin()
    assert account.publisher.published() == second


def test_a_build_waits_in_the_shadow_while_a_version_is_pinned(account: Account) -> None:
    first, _ = publish_two(account)
    account.publisher.pin(first.version)
    build(account.warehouse, 3)
    outcome = account.publish()
    assert outcome.is_new
    assert outcome.pinned.version == outcome.previous.version == first.version
    assert account.visible_builds() == {1}
    again = account.publish()
    assert (again.is_new, again.publication, again.pinned) == (False, outcome.publication, outcome.pinned)
    assert account.publisher.unpin() == outcome.publication
    assert account.visible_builds() == {3}


def test_a_version_whose_publisher_was_killed_is_not_kept(account: Account) -> None:
    publish_two(account)
    build(account.warehouse, 3)
    pattern = "create or replace transient table .*mart_movies"
    with account.database.server.failing(pattern, 1), pytest.raises(DatabaseError):
        account.publish()
    (kept,) = account.publisher.versions()
    claimed = account.database.server.execute(f"select version from {account.serving}.core_next.publication")[0][0]
    assert kept.version != claimed
    with pytest.raises(VersionNotKeptError):
        account.publisher.pin(claimed)
    assert account.visible_builds() == {2}


def test_a_version_that_lost_a_row_is_not_kept(account: Account) -> None:
    first, second = publish_two(account)
    account.database.server.execute(f"delete from {account.serving}.marts_next.mart_movies where number = 3")
    assert account.publisher.versions() == [second]
    with pytest.raises(VersionNotKeptError):
        account.publisher.pin(first.version)


def test_a_pin_that_fails_between_the_renames_is_completed_later(account: Account) -> None:
    first, _ = publish_two(account)
    with account.database.server.failing("alter schema .*marts swap", 1), pytest.raises(DatabaseError):
        account.publisher.pin(first.version)
    assert account.publisher.published().is_interrupted
    assert account.publisher.pin(first.version).version == first.version
    assert account.visible_builds() == {1}
    assert account.publisher.published().pinned_at is not None


def test_the_set_in_the_shadow_is_forgotten_and_the_next_one_is_published(account: Account) -> None:
    for number in (1, 2):
        build(account.warehouse, number)
        account.publish()
    assert len(account.publisher.forget_others()) == 1
    assert account.warehouse.columns(("core_next", "marts_next"), account.serving) == {}
    assert [account.visible_builds(), len(account.publisher.versions())] == [{2}, 1]
    assert account.publisher.forget_others() == []
    build(account.warehouse, 3)
    account.publish()
    assert account.visible_builds() == {3}


def test_persons_are_counted_in_both_sets(account: Account) -> None:
    build(account.warehouse, 1)
    account.warehouse.execute("create table core.dim_users as select 7 as user_id, 8 as similar_user_id")
    account.publisher.publish([*MARTS, ServedTable("core", "dim_users")])
    build(account.warehouse, 2)
    account.publisher.publish([*MARTS, ServedTable("core", "dim_users")])
    for user in ("7", "8"):
        assert sorted(account.publisher.person_counts(["user_id"], user).values()) == [1, 1]
    assert account.publisher.person_counts(["user_id"], "9") == {}


def test_versions_and_built_tables_are_compared(account: Account) -> None:
    first, second = publish_two(account)
    build(account.warehouse, 3)
    marts = [ServedTable(mart.schema, mart.name, mart.is_stored, key=("number",)) for mart in MARTS]
    found = []
    for candidate in (first, Built()):
        with account.publisher.comparing(second, candidate) as sides:
            tables = compare(sides.warehouse, sides.before, sides.after, marts, Showable(None))
            found.append({each.name: (each.state, each.added, each.removed, each.changed) for each in tables})
    names = [mart.full_name for mart in MARTS]
    assert found == [
        dict.fromkeys(names, ("different", 0, 10, 10)),
        dict.fromkeys(names, ("different", 10, 0, 20)),
    ]


def test_a_failure_between_the_renames_is_reported_and_completed_later(account: Account) -> None:
    build(account.warehouse, 1)
    account.publish()
    build(account.warehouse, 2)
    with account.database.server.failing("alter schema .*marts swap", 1), pytest.raises(DatabaseError):
        account.publish()
    shown: Publication = account.publisher.published()
    assert shown.is_interrupted
    assert "interrupted between core and marts" in str(problem_of(account.warehouse, shown))

    finished = account.publish()

    assert not finished.is_new  # only one rename was left to do
    assert account.visible_builds() == {2}
    assert account.publisher.published() == finished.publication


def test_a_first_set_interrupted_between_the_renames_is_completed_even_after_a_failed_build(account: Account) -> None:
    build(account.warehouse, 1)
    with account.database.server.failing("alter schema .*marts swap", 1), pytest.raises(DatabaseError):
        account.publish()
    begin_build(account.warehouse, 2)
    with pytest.raises(NotServableError):
        account.publish()
    assert account.visible_builds() == {1}
    assert not account.publisher.published().is_interrupted


@pytest.mark.parametrize(
    ("options", "serving"),
    [
        ({"env": "local"}, None),
        ({"env": "staging"}, "NETFLIX_STAGING_SERVING"),
        ({"env": "dev", "snowflake": SnowflakeSettings(database="MY_OWN")}, "MY_OWN_SERVING"),
    ],
)
def test_the_serving_database_is_named_after_the_database(options: dict[str, object], serving: str | None) -> None:
    assert read_settings(**options).serving_database == serving
