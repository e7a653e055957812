"""The chart as it runs on a cluster: on kind, reached through its Service. Needs docker and kind."""
