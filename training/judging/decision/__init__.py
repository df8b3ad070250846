"""What turns scores into verdicts: calibration, threshold, a bound on false accepts."""
