"""Messages of Envoy's APIs and of OpenTelemetry's, for all that speaks gRPC with a proxy."""

import os

# Forked children would otherwise inherit gRPC's threads half alive. gRPC reads this when it is imported.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
