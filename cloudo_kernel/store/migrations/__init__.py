"""Brings a store's tables to the newest version, one migration after another."""
