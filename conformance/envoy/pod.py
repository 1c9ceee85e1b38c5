"""A pod, as in Kubernetes but without it: a container that does nothing but hold a network, which others join.

The network then lives as long as the pod, however often its application or its sidecar is started again. What holds it
is the image of Envoy, because no other one is sure to be on the machine: an Envoy without listeners only waits.
"""

from __future__ import annotations

from conformance.envoy.image import ENVOY_IN_IMAGE
from conformance.system.containers import BRIDGE_NETWORK, Container, ContainerSpec
from conformance.system.engine import ContainerImage
from conformance.system.guard import Guard

__all__ = ["start_pod"]


async def start_pod(image: ContainerImage, *, name: str, guard: Guard, network: str = BRIDGE_NETWORK) -> Container:
    """Start a pod. Its `address` is that on the engine's bridge; its `namespace()` is what members are put into.

    Args:
        image: one with an Envoy in it, such as `build_image` makes.
        name: for messages.
        guard: removes it should the runner die.
        network: `NO_NETWORK` for one that will be plugged into a network of ours.

    Raises:
        EnvironmentFault: no engine answers, or it refuses the container.

    """
    spec = ContainerSpec(
        image.digest,
        entrypoint=(ENVOY_IN_IMAGE,),
        command=("--config-yaml", "{}", "--disable-hot-restart", "--concurrency", "1", "--log-level", "error"),
        user="65534:65534",
        network=network,
        confined=True,
    )
    return await Container.start(spec, name=f"pod {name}", guard=guard)
