"""Who signs in, and what they may: passwords, API tokens, rights. Both services ask here."""
