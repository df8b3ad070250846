"""From a photo to a verdict."""
