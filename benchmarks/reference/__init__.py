"""The reference run: what is run, the statements that follow from it, and what is not run."""
