"""Where model, data, sampler and certifier meet; one file a command."""
