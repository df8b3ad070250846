"""The gate model: its entry in the Bento model store, its scorer, thresholds and memory."""
