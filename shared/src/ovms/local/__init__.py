"""One machine without anything installed: a real PostgreSQL and a real Valkey from wheels, in a data directory."""
