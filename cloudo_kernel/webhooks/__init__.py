"""Webhook requests: what they carry, and their signatures."""
