"""Negatives cut from photos that hold plants: ground where none stands."""
