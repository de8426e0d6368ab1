"""References: what the truth is, as closed forms."""
