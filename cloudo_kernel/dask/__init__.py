"""Runs executions on a Dask cluster: `pip install cloudo[dask]`, `c.Cloudo.executor = "dask"`.

Dask is first imported here, because what it does then cannot be undone.
"""

from cloudo_kernel.errors import Unavailable

try:
    import dask

    # Dask would set the levels of tornado's loggers, which are the server's.
    with dask.config.set({"logging": {"version": 1, "incremental": True}}):
        import distributed  # noqa: F401
except ImportError as error:
    raise Unavailable(f"Dask is not installed ({error}). Run: pip install 'cloudo[dask]'") from error
