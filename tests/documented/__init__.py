"""The commands that the project's Markdown pages name, and how each of them is tried."""
