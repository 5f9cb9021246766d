"""What a rank does with a model under ZeRO-3, and the verdict on it."""
