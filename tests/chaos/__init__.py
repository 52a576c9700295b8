"""Kills processes at random while executions run, and compares what happened with what the store says.

`python -m tests.chaos --kills 1000` is the long form, `test_chaos.py` the short one.
"""
