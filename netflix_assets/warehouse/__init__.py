"""The warehouses behind one protocol. Knows no Dagster."""
