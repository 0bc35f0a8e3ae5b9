"""Holds the gateway to its OpenAPI document with Schemathesis: `make contract`."""
