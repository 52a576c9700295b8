"""Permissions, secrets, and the limits of requests."""
