"""Lookup tables: read them, fit latency and NSR loss to them, verify the fit, load the result."""
