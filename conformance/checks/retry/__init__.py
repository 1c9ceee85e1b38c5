"""Retries: a passing failure is overcome, and overcoming it does no harm."""
