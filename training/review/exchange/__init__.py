"""Labels from and for other tools: Label Studio, and plain CSV."""
