"""The reference control plane: policies in, xDS resources out, acknowledgements tracked."""
