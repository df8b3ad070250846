"""Files that survive: written whole, locked, found again under any name."""
