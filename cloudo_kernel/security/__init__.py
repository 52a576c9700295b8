"""Permissions, secrets, and the limits of what a caller can ask for."""
