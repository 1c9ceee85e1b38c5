"""The building block by its own contract, through the mesh."""
