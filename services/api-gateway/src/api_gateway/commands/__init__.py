"""Commands to a car: how they are written from arguments, and what its answers mean. Pure."""
