"""Devices: their latency tables and what is searched on them."""
