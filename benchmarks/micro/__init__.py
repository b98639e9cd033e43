"""Micro-benchmarks of the hot functions, one at a time and without servers: `make bench-micro`."""
