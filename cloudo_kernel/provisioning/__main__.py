"""`python -m cloudo_kernel.provisioning`: the zygote."""

from cloudo_kernel.provisioning.zygote import main

main()
