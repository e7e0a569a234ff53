"""The assets ``dashboards/<page>``: pages built from the published tables.

dbt's exposures say what a page is, who owns it and which marts it reads; a test holds the pages' queries to them.
Charts are imported when a page is built, so loading definitions waits for neither pandas nor Altair.
"""

import base64
import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import dagster as dg

import netflix_assets.dashboards
from netflix_assets.defs.published import PUBLISHED_KEY
from netflix_assets.defs.resources import WarehouseResource
from netflix_assets.settings import Settings

if TYPE_CHECKING:
    from netflix_assets.dashboards.page import Built

GROUP = "dashboards"

_DRAWING = ("altair", "vl-convert-python", "jinja2")
_FILE, _BYTES, _MADE_FROM = "page", "bytes", "made_from"  # metadata


def dashboard_assets(settings: Settings, manifest: Mapping[str, Any]) -> list[dg.AssetsDefinition]:
    """One asset per exposure that is a page."""
    return [_asset(exposure, settings) for exposure in page_exposures(manifest)]


def page_exposures(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The exposures that are pages, in the order of the file."""
    for exposure in manifest["exposures"].values():
        if "page" in exposure["config"]["meta"]:
            yield exposure


def marts_of(exposure: Mapping[str, Any]) -> list[str]:
    """The names of the marts that a page reads, by its exposure."""
    return [unique_id.rpartition(".")[2] for unique_id in exposure["depends_on"]["nodes"]]


def _asset(exposure: Mapping[str, Any], settings: Settings) -> dg.AssetsDefinition:
    name = exposure["config"]["meta"]["page"]
    key = dg.AssetKey([GROUP, name])

    @dg.asset(
        key=key,
        deps=[*(dg.AssetKey(["marts", mart]) for mart in marts_of(exposure)), PUBLISHED_KEY],
        group_name=GROUP,
        kinds={"html", "altair"},
        owners=[exposure["owner"]["name"]],
        description=" ".join(exposure["description"].split()),
    )
    def page(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> dg.MaterializeResult[Any]:
        started = time.monotonic()
        with warehouse.served(run_id=context.run.run_id, asset=key.to_user_string()) as served:
            if served is None:
                raise dg.Failure("nothing is published yet; run netflix-assets run", allow_retries=False)
            publication = served.publication
            made_from = f"{_code()} {publication}"
            reused = _reusable(context, key, made_from, settings.dashboards_folder)
            if reused is not None:
                context.log.info("left as it is: same tables, same code")
                return dg.MaterializeResult(metadata=reused, data_version=dg.DataVersion(publication.version))

            from netflix_assets.dashboards.page import build
            from netflix_assets.dashboards.pages import PAGES
            from netflix_assets.dashboards.queries import read

            (wanted,) = (each for each in PAGES if each.name == name)
            frames = read(wanted.queries, served.query)
        built = build(wanted, PAGES, frames, publication)
        file = settings.dashboards_folder / wanted.file_name
        write_atomically(file, built.html)
        rows = {query.full_name: len(frames[each]) for each, query in wanted.queries.items()}
        context.log.info(f"{file}: {sum(rows.values()):,} rows of version {publication.version}")
        return dg.MaterializeResult(
            metadata={
                **_preview(built),
                _FILE: dg.MetadataValue.url(file.as_uri()),
                "version": publication.version,
                "rows_read": sum(rows.values()),
                "tables": dg.MetadataValue.table(
                    [dg.TableRecord({"table": each, "rows": n}) for each, n in rows.items()]
                ),
                _BYTES: file.stat().st_size,
                _MADE_FROM: hashlib.sha256(made_from.encode()).hexdigest(),
                "seconds": round(time.monotonic() - started, 3),
            },
            data_version=dg.DataVersion(publication.version),
        )

    return page


def _reusable(
    context: dg.AssetExecutionContext, key: dg.AssetKey, made_from: str, folder: Path
) -> Mapping[str, Any] | None:
    """The metadata of the page as it is, if its file is still there and the page would be the same; None to build it.

    A run that names pages, and not what they are made from, builds them. A page that was built in another folder counts
    for nothing: somebody has copied the home.
    """
    selection = context.run.asset_selection
    last = context.instance.get_latest_materialization_event(key)
    if last is None or last.asset_materialization is None or (selection and PUBLISHED_KEY not in selection):
        return None
    metadata = last.asset_materialization.metadata
    values = {name: value.value for name, value in metadata.items()}
    file = folder / Path(url2pathname(urlsplit(str(values[_FILE])).path)).name
    is_there = file.is_file() and file.stat().st_size == values[_BYTES] and file.as_uri() == values[_FILE]
    if not is_there or values.get(_MADE_FROM) != hashlib.sha256(made_from.encode()).hexdigest():
        return None
    return {"reused": True, "built_by": dg.MetadataValue.dagster_run(last.run_id), **metadata}


@cache
def _code() -> str:
    """A digest of what draws pages: this package's files, and the libraries that draw."""
    folder = Path(netflix_assets.dashboards.__file__).parent
    found = hashlib.sha256(" ".join(map(version, _DRAWING)).encode())
    for file in sorted(each for each in folder.rglob("*") if each.suffix in (".py", ".html", ".js", ".css")):
        found.update(f"{file.relative_to(folder)} ".encode() + file.read_bytes())
    return found.hexdigest()


def write_atomically(file: Path, text: str) -> None:
    """Write a file under a temporary name and rename it, so that readers never see part of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def _preview(built: "Built") -> dict[str, Any]:
    """A picture of the page's first chart for Dagster's asset page; none if no chart has rows."""
    if built.preview is None:
        return {}
    picture = base64.b64encode(built.preview).decode()
    return {"preview": dg.MetadataValue.md(f"![the page's first chart](data:image/jpeg;base64,{picture})")}
