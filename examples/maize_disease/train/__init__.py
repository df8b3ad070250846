"""How the detector was trained; the service needs nothing of it."""
