"""`python -m cloudo_kernel.worker --private ID`: the worker of a notebook that no server serves."""

from cloudo_kernel.worker.worker import main

main()
