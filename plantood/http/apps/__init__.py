"""The applications of the services: what every one has, and what each adds."""
