"""Runtimes: what runs exported files. One record each, and one module that opens sessions."""
