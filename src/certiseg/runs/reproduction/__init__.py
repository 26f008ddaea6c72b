"""`certiseg reproduce`: the paper's tables, of point clouds and of pictures."""
