"""What does a series alone reveal? Exponents, embeddings and the 0-1 test."""
