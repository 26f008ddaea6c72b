"""Studies: what the methods do on simulated or stored votes, and what a plan would give."""
