"""Commands to a vehicle as resources."""
