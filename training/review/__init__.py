"""Review: a person looks at the photos of a round and says what they show."""
