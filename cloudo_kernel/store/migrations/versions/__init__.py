"""The migrations, in order; each goes one version up."""
