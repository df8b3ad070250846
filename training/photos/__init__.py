"""Photos to train on: found, accounted for, divided, drawn."""
