"""The last step of a round: a gate model goes on learning from what was reviewed, and is judged."""
