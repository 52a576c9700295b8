"""`python -m cloudo_kernel.worker --private ID`: the worker of a notebook without a server."""

from cloudo_kernel.worker.worker import main

main()
