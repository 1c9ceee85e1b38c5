"""The policy admin service: policies over HTTP, for people, for tools and for control planes in other processes.

Its contract is `specs/contracts/policy-admin.yaml`; `conformance.policy.client` speaks it.
"""

from conformance.policy.service.admin import PolicyAdminService
from conformance.policy.service.callers import Role

__all__ = ["PolicyAdminService", "Role"]
