"""When schedules run: the kinds of triggers, time zones, and times in words. Pure: no clock, no database.

`triggers` has one file for each kind. `models` builds the records of schedules from them, so this package imports
neither `models` nor anything above.
"""
