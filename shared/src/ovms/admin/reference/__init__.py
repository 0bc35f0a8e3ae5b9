"""`ovms import-reference`: brings what a reference server holds."""
