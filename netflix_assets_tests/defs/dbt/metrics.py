"""Query dbt's metrics as `mf query` does: MetricFlow writes the SQL, and the caller runs it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any


class Metrics:
    """The metrics of a semantic manifest (`semantic_manifest.json`, which `dbt parse` writes next to the manifest)."""

    def __init__(self, semantic_manifest: Path) -> None:
        from metricflow.engine.metricflow_engine import MetricFlowEngine
        from metricflow.protocols.sql_client import SqlEngine
        from metricflow.sql.render.duckdb_renderer import DuckDbSqlPlanRenderer
        from metricflow_semantics.model.dbt_manifest_parser import parse_manifest_from_dbt_generated_manifest
        from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup

        manifest = parse_manifest_from_dbt_generated_manifest(semantic_manifest.read_text(encoding="utf-8"))
        # Writing a query needs only the dialect, not a connection.
        client: Any = SimpleNamespace(sql_engine_type=SqlEngine.DUCKDB, sql_plan_renderer=DuckDbSqlPlanRenderer())
        self.names = {metric.name for metric in manifest.metrics}
        self._engine = MetricFlowEngine(SemanticManifestLookup(manifest), client)

    def sql(self, metrics: list[str], by: str) -> str:
        """The SQL of these metrics. Its columns are ``by`` and the metrics, in this order."""
        from metricflow.engine.metricflow_engine import MetricFlowQueryRequest

        request = MetricFlowQueryRequest.create(metric_names=metrics, group_by_names=[by])
        return f"select {', '.join([by, *metrics])} from ({self._engine.explain(request).sql_statement.sql})"
