"""meshmark: conformance and interoperability tests for building blocks behind Envoy security servers."""

from typing import Final

__all__ = ["__version__"]

__version__: Final = "0.1.0"
