"""Many replicas, a fleet and faults drawn from a seed; at the end the invariants are checked over all that was seen."""
