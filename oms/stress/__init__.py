"""Many customers ordering at once over HTTP, and the proof of what became of it."""
