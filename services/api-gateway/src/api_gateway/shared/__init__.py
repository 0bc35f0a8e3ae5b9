"""The page behind a link to a vehicle: three files of this origin, and what serves them."""
