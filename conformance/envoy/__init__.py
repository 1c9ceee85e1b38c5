"""Envoy security servers as processes or containers, behind one interface."""
