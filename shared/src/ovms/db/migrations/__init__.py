"""Alembic's folder: it lies inside the package so that `ovms migrate` finds it wherever the package is installed."""
