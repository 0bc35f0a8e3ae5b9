"""What a vehicle has recorded, as pages and as tables."""
