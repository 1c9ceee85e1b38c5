"""A whole mesh from the rooms below: security servers, control plane, certificates, building blocks."""
