"""Experiments: a whole shop under faults and races, from any checkout; `make faults`.

They use the shop as its clients and operators do, by HTTP, SQL, signals and `manage.py`, and import
nothing of the product, so that one build can be compared with another. What the bars are and what
was measured: docs/reliability.md.
"""
