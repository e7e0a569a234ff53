"""Write what follows from dbt's manifest: ``python -m netflix_assets.dev.from_manifest``.

The catalogue (``docs/catalogue.md``), its index (``docs/llms.txt``) and Snowflake's semantic views. dbt parses the
project first if it has changed, which takes 10 s.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netflix_assets.defs.dbt.project import dbt_project, manifest_of
from netflix_assets.dev import catalogue, semantic_views
from netflix_assets.dev.questions import questions
from netflix_assets.settings import current_settings


def generated(manifest: Mapping[str, Any], dbt_project: Path) -> dict[Path, str]:
    """The files and their texts. Raises: QuestionError; SemanticViewError."""
    asked = questions(dbt_project)
    return {
        catalogue.CATALOGUE: catalogue.render_catalogue(manifest, asked),
        catalogue.INDEX: catalogue.render_index(manifest, asked),
        semantic_views.FILE: semantic_views.render(manifest),
    }


def main() -> None:
    """Write the files."""
    settings = current_settings()
    for file, text in generated(manifest_of(dbt_project(settings)), settings.dbt_project).items():
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
