"""What the commands do, as functions: typed arguments in, frozen results out, nothing printed."""
