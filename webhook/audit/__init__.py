"""What became of rollouts that were turned away."""
