"""How commands run: alone in their folder, in several processes, the same each time."""
