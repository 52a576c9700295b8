"""The process that runs one notebook with papermill: `python -m cloudo_kernel.runner`."""
