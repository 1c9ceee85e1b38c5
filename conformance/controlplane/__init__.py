"""The reference control plane: policies in, xDS resources out, acknowledgements tracked."""

import os

# Forked children would otherwise inherit gRPC's threads half alive. gRPC reads this when it is imported.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
