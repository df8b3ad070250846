"""From photos to features, and from features to a head."""
