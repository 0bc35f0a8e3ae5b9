"""Who calls, and what they may: sessions, passwords, API tokens, rights."""
