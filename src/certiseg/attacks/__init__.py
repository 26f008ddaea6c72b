"""Attacks by gradient: on a base model, on a smoothed model, and on what a certificate claims."""
