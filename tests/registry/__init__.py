"""Look-ups at a real registry, and at servers that fail."""
