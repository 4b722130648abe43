"""What work costs, measured on a little of it."""
