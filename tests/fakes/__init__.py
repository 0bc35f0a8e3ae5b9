"""Stand-ins for the parts of a service: they work, in memory, and note what was asked of them."""
