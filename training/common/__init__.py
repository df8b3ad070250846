"""What all commands share: options, tables, progress, processes."""
