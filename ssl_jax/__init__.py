"""Self-supervised learning in JAX: pure-functional objectives, one train step, verified methods."""
