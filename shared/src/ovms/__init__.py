"""The library of the OVMS server: protocol, records, database, bus, administration."""
