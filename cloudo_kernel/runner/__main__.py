"""`python -m cloudo_kernel.runner RUNNER_FD KERNEL_FD LIFELINE_FD FOLDER`: one run, started cold."""

import sys
from pathlib import Path

from cloudo_kernel.runner.run import main

main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
