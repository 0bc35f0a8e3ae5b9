"""The API as its manual gives it, equal to the reference server to the byte: one file of routes a subject."""
