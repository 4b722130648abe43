"""Weight sharing: modules whose active sizes are arguments."""
