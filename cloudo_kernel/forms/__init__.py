"""Forms: their elements and their answers."""
