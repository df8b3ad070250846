"""The gate model: backbones, heads, export, and its entry in the Bento model store."""
