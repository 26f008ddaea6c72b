"""Runs: model, data, sampler and certifier together, one file per command."""
