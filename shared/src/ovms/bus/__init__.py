"""Redis: channels and bodies, peers of a vehicle, HTTP sessions."""
