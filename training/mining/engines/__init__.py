"""What scores photos: the threads of one machine, or a cluster."""
