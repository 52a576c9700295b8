"""`python -m tests.chaos`: a long bout of chaos, and a table of what came of it."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.harness import Chaos, Plan


def main() -> int:
    """Run it; the exit code is 1 when something was found that must not be."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=24 * 3600.0, help="end after so long, whatever was killed")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--server", action="store_true", help="a server too, through which everything is started")
    parser.add_argument("--real", action="store_true", help="notebooks that compute, log and have children")
    parser.add_argument("--faults", action="store_true", help="faults of the machine, too: locks, moved files, ...")
    parser.add_argument("--database", metavar="URL", default="", help="an empty PostgreSQL database, instead of SQLite")
    parser.add_argument("--lock", type=float, default=25.0, help="seconds for which the database is locked, at most")
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--pause", type=float, default=2.0, help="seconds between two kills, at most")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    plan = Plan(**vars(parser.parse_args()))
    if plan.faults and plan.database:
        parser.error("--faults breaks a store in SQLite, so it needs one without --database")
    print(f"seed {plan.seed}", flush=True)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        found = Chaos(Path(folder), plan).run()
    print(found.table())
    print("\n".join(found.faults))
    print(f"{time.monotonic() - begun:.0f} s")
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
