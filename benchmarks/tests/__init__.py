"""Tests of the bench itself: `make bench-micro` runs them first."""
