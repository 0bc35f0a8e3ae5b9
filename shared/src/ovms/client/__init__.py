"""The server's API from a terminal: `ovms status`, `ovms watch` and `ovms command`, with a token of an owner."""
