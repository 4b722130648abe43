"""The best networks of spaces: exact, of all networks that a space has."""
