"""The benchmark: what one process of each service does on this machine, beside the limits measured in the same run."""
