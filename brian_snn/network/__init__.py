"""The graph of populations and projections: records that check themselves, linear maps, the grid, the file format."""
