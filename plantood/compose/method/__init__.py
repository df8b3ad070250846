"""A gated method as others see it: its parameters, its request and its response."""
