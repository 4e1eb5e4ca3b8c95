"""Our two webhook configurations: which of their webhooks lead to us, and which CA bundle each holds."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from webhook.errors import NotFoundError
from webhook.kube.client import Client
from webhook.kube.listing import Object
from webhook.kube.resources import Resource
from webhook.policy.names import PRODUCT
from webhook.policy.objects import b64

NAME: Final = PRODUCT
"""The name of both configurations."""
MANAGER: Final = f"{PRODUCT}-certificates"
"""Who writes their CA bundles, in ``managedFields``."""

_GROUP: Final = "admissionregistration.k8s.io"
MUTATING: Final = Resource(
    _GROUP, "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", namespaced=False
)
VALIDATING: Final = Resource(
    _GROUP, "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", namespaced=False
)
KINDS: Final = {"mutating": MUTATING, "validating": VALIDATING}
"""Their resources, by the word that metrics and messages use."""
