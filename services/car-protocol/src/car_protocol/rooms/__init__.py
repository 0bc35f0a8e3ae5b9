"""Who is connected to a vehicle, here and elsewhere, and who hears what."""
