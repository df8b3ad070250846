"""Which photos are learned from and which judge: splits, folds and units of sources; weights."""
