"""Where a gate model comes from: its ancestors in the store, round by round, with their figures."""
