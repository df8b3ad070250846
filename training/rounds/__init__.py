"""Rounds of the flywheel: the folder in which mining, review and fine-tuning meet."""
