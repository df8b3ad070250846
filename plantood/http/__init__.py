"""The HTTP edge: what is let in, read, and answered."""
