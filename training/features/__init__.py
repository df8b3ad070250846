"""Photos to features of the frozen backbone, computed once."""
