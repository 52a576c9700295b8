"""The process that claims executions and runs them: `python -m cloudo_kernel.worker`."""
