"""What Karpenter buys for pods, with and without Rightarch: its kwok provider beside a real control plane."""
