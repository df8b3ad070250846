"""A photo, however it arrives, to pixels and cues at a bounded cost."""
