"""Scores and searches over the IR. Knows protocols, not files of tables."""
