"""Every report is rendered from the run record and from nothing else."""
