"""The records: each module by its own tests."""
