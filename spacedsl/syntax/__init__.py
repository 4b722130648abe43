"""Text to tree and back: lexer, parser, printer. Knows no meaning."""
