"""Tests of the whole: real servers, real kernels, a real browser."""
