"""The HTTP API of the OVMS server: signs callers in, reads state and history, reaches cars only through Redis."""
