"""How a dataset is extracted from a database: the part ``extract`` of its contract entry."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from netflix_assets.contracts.column import Column, Name
from netflix_assets.contracts.dialect import Strict

ExtractMode = Literal["snapshot", "changes", "cursor"]

# Where extracts keep what they remember, in the bucket. No source's name starts with _.
STATE_FOLDER = "_extracts/"

# Added to every dataset whose extracts hold changed rows. `extract_number` orders the versions of a row: the clock of
# a server can be set back, and its transaction numbers start again after it was restored.
NUMBER, MOMENT, DELETED = "extract_number", "extracted_at", "is_deleted"
VERSION_COLUMNS = (
    Column(
        name=NUMBER,
        type="bigint",
        description="Number of the extract that read this version of the row; a later extract has a higher one.",
    ),
    Column(name=MOMENT, type="timestamp", description="When that extract's snapshot was taken, by the server's clock."),
    Column(
        name=DELETED,
        type="boolean",
        description="Whether the row was deleted from the database. If so, all columns except the key are null.",
    ),
)


def _table(text: str) -> str:
    if text.count(".") > 1 or not all(text.split(".")):
        raise ValueError(f"'{text}' is not a table; write <schema>.<table>, or <table> for the schema public")
    return text


class Deletes(Strict):
    """How many rows may vanish between two extracts. A table that loses more than BOTH bounds is refused.

    Truncating a table by mistake looks like this. `netflix-assets sources extract --accept` extracts it anyway.
    """

    rows: int = Field(default=100, ge=0, description="Rows that may always vanish.")
    share: float = Field(default=0.2, ge=0, le=1, description="Share of the rows that may vanish, 0 to 1.")

    def allowed(self, row_count: int) -> int:
        """How many of ``row_count`` rows may vanish."""
        return max(self.rows, int(self.share * row_count))


class Extract(Strict):
    """Where a dataset's rows are in a database, and how they are read. What is read lands in the bucket.

    ``snapshot``: all rows, if the table has changed. ``changes``: the rows that transactions have written since the
    previous extract, found by their transaction numbers, and the keys that are gone. ``cursor``: the rows whose
    ``cursor`` column is at most ``lag_minutes`` below the highest value so far; for views and foreign tables, which
    have no transaction numbers. It misses rows whose cursor is set further back.
    """

    database: Name = Field(
        description="Name of the database. Its address is the setting `NETFLIX_POSTGRES_<NAME>`, its password "
        "`NETFLIX_POSTGRES_<NAME>_PASSWORD`."
    )
    table: Annotated[str, AfterValidator(_table)] = Field(
        default="", description="The table or view: `<schema>.<table>`, or `<table>` for the schema public."
    )
    query: str = Field(default="", description="A SELECT instead of a table, for `snapshot` and `cursor`.")
    mode: ExtractMode = Field(
        description="`snapshot`: all rows, when any has changed. `changes`: changed rows and deleted keys, by "
        "transaction. `cursor`: rows whose cursor is at or above the highest value so far, less the lag; it can miss "
        "rows."
    )
    cursor: Name | None = Field(default=None, description="The column that grows with each change, for `cursor`.")
    lag_minutes: float = Field(
        default=10,
        ge=0,
        description="How far below the highest value rows are read again, for a date or timestamp cursor.",
    )
    every_minutes: float = Field(default=60, gt=0, description="How often the table is extracted.")
    deletes: Deletes = Field(default=Deletes(), description="How many rows may vanish between two extracts.")
    left_out: tuple[str, ...] = Field(
        default=(), description="Columns of the table that are deliberately not extracted, such as card numbers."
    )

    @model_validator(mode="after")
    def _options_fit_the_mode(self) -> Self:
        if bool(self.table) == bool(self.query):
            raise ValueError("an extract needs either a table or a query")
        if self.query and self.mode == "changes":
            raise ValueError("mode: changes needs a table, because a query has no transaction numbers; use snapshot")
        if (self.cursor is not None) != (self.mode == "cursor"):
            raise ValueError("mode: cursor and the option cursor belong together")
        return self

    @property
    def has_versions(self) -> bool:
        """Whether an extract holds versions of rows (`changes`, `cursor`) and not the whole table."""
        return self.mode != "snapshot"

    @property
    def relation(self) -> tuple[str, str]:
        """Schema and name of the table."""
        schema, _, name = self.table.rpartition(".")
        return schema or "public", name
