"""Pure functions from VoteCounts to Certificate, one method a file. No torch."""
