"""What is read of a file before anything decodes it: is it whole, how large, how turned."""
