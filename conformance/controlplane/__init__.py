"""The reference control plane: policies in, xDS resources out, acknowledgements tracked."""

import conformance.protobuf  # noqa: F401 -- before gRPC: it sets what gRPC reads when it is imported
