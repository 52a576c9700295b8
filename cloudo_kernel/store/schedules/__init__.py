"""The tables of schedules: records, occurrences and follow-ups."""
