"""What a network can learn to remember: the memory signal of its gradients, null trainings, the
delay that is predicted and the one that is reached."""
