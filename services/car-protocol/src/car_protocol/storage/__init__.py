"""What cars send, into PostgreSQL and out again."""
