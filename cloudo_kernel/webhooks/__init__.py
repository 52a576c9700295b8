"""Webhook requests: their content and their signatures."""
