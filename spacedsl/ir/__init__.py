"""The intermediate representation: frozen values, no source positions, no torch."""
