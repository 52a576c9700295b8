"""The process of a notebook's kernel: `python -m cloudo_kernel.kernel -f FILE`."""
