"""A model on disk: manifest, verification before any native load, the built-in default."""
