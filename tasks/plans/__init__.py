"""Makes saved plans, has policy judge them, stores them as artifacts, and accepts or refuses them in a deploy."""
