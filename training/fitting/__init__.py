"""From the features of photos to a head."""
