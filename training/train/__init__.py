"""Train, leave one out, evaluate, publish."""
