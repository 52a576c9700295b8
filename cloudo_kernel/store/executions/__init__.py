"""The tables of executions: queue, reports, control, log and search."""
