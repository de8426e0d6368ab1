"""Sources: one file per family, each with its own sampler and density."""
