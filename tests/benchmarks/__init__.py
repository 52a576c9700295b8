"""Measurements. They print tables; they are no tests, and nothing in the test suite depends on time."""
