"""The tests, the demo and the benchmarks, and the real components that they run on."""
