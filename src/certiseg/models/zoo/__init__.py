"""Models of libraries that need torchvision: torchvision itself, segmentation_models_pytorch, timm.

Nothing here imports them before a loader is called, and no loader reaches for the network unless
the user names weights that have to be fetched.
"""
