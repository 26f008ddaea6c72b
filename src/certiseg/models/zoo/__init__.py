"""Models of libraries that need torchvision: torchvision itself, segmentation_models_pytorch, timm.

The libraries are imported only when a loader is called, and no loader uses the network unless the
user names weights that must be fetched.
"""
