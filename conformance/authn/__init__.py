"""The authentication service: asked by security servers about each call, it decides by policies; by default, no."""

import conformance.protobuf  # noqa: F401 -- before gRPC: it sets what gRPC reads when it is imported
