"""A gate learns from a handful of photos: a linear correction of its head, fitted in NumPy."""
