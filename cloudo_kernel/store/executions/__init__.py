"""Store executions: queue, reports, control, log and search."""
