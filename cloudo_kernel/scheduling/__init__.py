"""When schedules run. Pure functions: no clock, no database."""
