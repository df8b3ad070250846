"""The recipe of composites: how a set of photos becomes many more pictures, and these a probe."""
