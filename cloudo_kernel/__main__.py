"""`python -m cloudo_kernel` is `cloudo`."""

import sys

from cloudo_kernel.cli import main

sys.exit(main())
