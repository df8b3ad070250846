"""Mining: the photos on which a gate may err, found among many that nobody has labelled."""
