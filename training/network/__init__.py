"""The networks, in Keras, and their export to what serves."""
