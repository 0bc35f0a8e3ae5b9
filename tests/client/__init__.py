"""A typed Python client, generated from docs/openapi.json: `make client`."""
