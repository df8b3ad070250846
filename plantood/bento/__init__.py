"""The gate in BentoML's house: what is packed, found, started and ended."""
