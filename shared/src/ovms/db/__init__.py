"""PostgreSQL: the tables, and one file of queries a subject. All SQL of the project is in this folder."""
