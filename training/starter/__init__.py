"""The recipe of the starter gate: how public photos become a small gate that transfers."""
