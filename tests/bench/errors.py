"""What makes a run worthless."""


class BenchError(Exception):
    """Something did not start, or answered what it must not."""
