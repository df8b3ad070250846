"""HEIC and AVIF: boxes, and the tiles that a picture is made of."""
