"""Side-by-side measurements. Each is a command; none is a test."""
