"""`certiseg reproduce`: the paper's tables of images and of point clouds."""
