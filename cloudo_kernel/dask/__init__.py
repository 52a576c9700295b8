"""Runs executions on a Dask cluster: `pip install cloudo[dask]`, `c.Cloudo.executor = "dask"`."""
