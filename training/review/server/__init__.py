"""The server of a review: its socket, who may speak with it, its page and photos."""
