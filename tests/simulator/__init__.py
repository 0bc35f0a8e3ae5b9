"""A simulated car, for demonstrations: it drives, parks and charges, and speaks protocol v2 as a module does."""
