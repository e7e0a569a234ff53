"""Export contracts for others: documents of the Open Data Contract Standard."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from netflix_assets.contracts.model import Dataset, Source
from netflix_assets.contracts.odcs import document
from netflix_assets.operations.errors import InputError
from netflix_assets.settings import Settings
from netflix_assets.warehouse.quality import current_rows, quality_rules
from netflix_assets.warehouse.relations import raw_columns

_FORMATS = {"csv": "csv", "parquet": "parquet"}
_WIDTH = 120
_POSTGRES_PORT = 5432


def export_contracts(settings: Settings, datasets: Sequence[Dataset] = ()) -> Iterator[tuple[str, str]]:
    """The dataset's id and its contract as YAML text, for each of ``datasets``; without them, for all.

    Raises: InputError if the settings do not say where the warehouse is.
    """
    for source in settings.sources():
        for dataset in source.datasets:
            if not datasets or dataset in datasets:
                yield dataset.id, _text(_document(settings, source, dataset))


def _document(settings: Settings, source: Source, dataset: Dataset) -> dict[str, Any]:
    if settings.names is None:
        from netflix_assets.warehouse.duckdb.warehouse import DIALECT
    else:
        from netflix_assets.warehouse.snowflake.warehouse import DIALECT
    return document(
        source,
        dataset,
        physical_name=current_rows(dataset),
        physical_types=raw_columns(dataset),
        rules=quality_rules(dataset, DIALECT),
        servers=list(_servers(settings, source, dataset)),
        version=version("netflix-assets"),
    )


def _text(content: dict[str, Any]) -> str:
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return text


def _servers(settings: Settings, source: Source, dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Where the files, the table, and the database or API that they come from are; no credentials."""
    files = f"{settings.bucket}/{settings.bucket_prefix}{dataset.key_prefix}*"
    file_format = _FORMATS.get(dataset.format, "json")
    if settings.serves_s3:
        bucket: dict[str, Any] = {"type": "local", "path": str(settings.s3_folder / files), "format": file_format}
    else:
        bucket = {"type": "s3", "location": f"s3://{files}", "format": file_format}
        if dataset.format == "jsonl":
            bucket["delimiter"] = "new_line"
        if settings.s3_endpoint is not None:
            bucket["endpointUrl"] = str(settings.s3_endpoint)
    yield {"server": "files", **bucket, "environment": settings.env}
    yield {"server": "warehouse", **_warehouse(settings), "environment": settings.env}
    if source.api is not None and dataset.request is not None:
        yield {"server": "api", "type": "api", "location": source.api.url, "environment": settings.env}
    if dataset.extract is not None and dataset.extract.database in settings.databases:
        address = urlsplit(settings.databases[dataset.extract.database].url)
        yield {
            "server": "database",
            "type": "postgres",
            "host": address.hostname or "localhost",
            "port": address.port or _POSTGRES_PORT,
            "database": Path(address.path).name or dataset.extract.database,
            "schema": dataset.extract.relation[0],
            "environment": settings.env,
        }


def _warehouse(settings: Settings) -> dict[str, Any]:
    if settings.names is None:
        return {"type": "duckdb", "database": str(settings.warehouse_file)}
    if settings.snowflake.account is None:
        raise InputError("NETFLIX_SNOWFLAKE_ACCOUNT is not set, so the contract cannot say where its table is")
    return {
        "type": "snowflake",
        "account": settings.snowflake.account,
        "database": settings.snowflake.database or settings.names.database,
        "schema": "RAW",
        "warehouse": settings.names.read_warehouse,
    }
