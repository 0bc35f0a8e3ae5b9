"""The typed API: `/api/v1`."""
