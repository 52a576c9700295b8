"""Tests of the server extension: one real server for most of them."""
