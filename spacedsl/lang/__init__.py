"""Meaning: names resolved, syntax lowered to IR, IR raised to text."""
