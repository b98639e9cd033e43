"""Measures the shop as it runs in production, beside what its PostgreSQL can do at most."""
