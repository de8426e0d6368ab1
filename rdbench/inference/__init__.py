"""What several estimators and the audit share: mixtures, Langevin samplers, networks."""
