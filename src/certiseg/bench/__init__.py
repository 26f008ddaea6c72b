"""What certification costs, measured: each file answers one question (`certiseg bench`)."""
