"""The pure core and the edges of it that need no cluster."""
