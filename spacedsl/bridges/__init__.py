"""Other notations of networks and spaces, read into and written from the IR."""
