"""Placing many orders at once over HTTP, and verifying the result in the database."""
