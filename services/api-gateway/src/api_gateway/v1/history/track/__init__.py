"""Where a vehicle was: points in time, and the forms in which programs read them."""
