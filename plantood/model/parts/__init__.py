"""What a gate model has beside its graph."""
