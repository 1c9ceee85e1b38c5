"""The authentication service: security servers ask it about each call; it decides by policies, and refuses by default."""

import conformance.protobuf  # noqa: F401 -- before gRPC: it sets what gRPC reads when it is imported
