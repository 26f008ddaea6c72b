"""Pure functions from VoteCounts to Certificate, one method a file. No torch.

Empty on purpose: ``certiseg.certify`` is the function to users (see certiseg/__init__.py), so the
methods are imported from their files.
"""
