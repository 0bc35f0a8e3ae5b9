"""What cars tell their owners: kept in the history, and handed to `push`."""
