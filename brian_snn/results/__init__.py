"""What a simulation measured: `Result`, and how it lies on the disk."""
