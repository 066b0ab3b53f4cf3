"""What does a model cost? Operations counted, seconds measured."""
