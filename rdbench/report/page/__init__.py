"""One self-contained page of everything that is stored, to be read without a network."""
