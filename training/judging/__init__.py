"""How good a gate is: scores, metrics, thresholds."""
