"""Check the simulated firing rates against the equations, account for their errors, count operations."""
