"""Terminates the vehicle sessions of protocol v2."""
