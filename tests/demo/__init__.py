"""The demo: the same workloads on a mixed cluster, without Rightarch and with it, side by side."""
