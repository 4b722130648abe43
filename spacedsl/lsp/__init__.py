"""The language server: pure functions from a page and an offset to an answer, and a thin server."""
