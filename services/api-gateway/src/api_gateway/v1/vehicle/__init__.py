"""What a vehicle sent last, and who is connected to it."""
