"""Reports, charts and model cards."""
