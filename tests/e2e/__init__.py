"""The whole: the chart installed by helm on a real control plane."""
