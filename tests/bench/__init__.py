"""Benchmarks: side by side in one run, medians and ratios. Separate commands, never tests: machines differ."""
