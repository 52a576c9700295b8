"""`python -m cloudo_kernel.processes`: the zygote."""

from cloudo_kernel.processes.zygote import main

main()
