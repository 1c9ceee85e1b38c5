"""Mutual TLS: nobody who cannot say who he is gets through the door."""
