"""The database of a reference server, a MySQL or MariaDB: read, never written, and what of it is kept here."""
