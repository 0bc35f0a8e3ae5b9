"""Executable models, explored completely within small bounds."""
