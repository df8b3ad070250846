"""The correction: fitted to new photos and to what the gate remembers, and how far it may go."""
