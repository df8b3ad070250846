"""Photos that the gate is unsure about, kept for mining: a queue, and where they go."""
