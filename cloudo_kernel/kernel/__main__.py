"""`python -m cloudo_kernel.kernel`: the kernel `cloudo`."""

import sys

# Python puts the working folder first, where a flow may have a `json.py`. The kernel adds it once it has started.
del sys.path[0 : 1 - sys.flags.safe_path]

from cloudo_kernel.kernel.app import main  # noqa: E402 -- after the line above

main()
