"""Questions and reasoned answers made from scene ground truth."""
