"""The caller's account, what belongs to it, and who else may see that."""
