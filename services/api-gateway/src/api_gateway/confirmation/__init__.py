"""The page on which a mail address is confirmed."""
