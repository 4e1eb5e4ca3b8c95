"""People at a live test: users by client certificate, with the rights of an editor and some verbs of ours."""

import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import yaml

from tests.controlplane.client import Client, until
from tests.live.world import World

_RBAC: Final = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/{}"
_GROUP: Final = "rbac.authorization.k8s.io"


async def may(world: World, user: str, group: str, resource: str, *verbs: str) -> None:
    """Grant a user verbs on a resource, in the test's namespace alone.

    A namespace itself counts as in it: the API server asks so (k8s.io/apiserver/pkg/endpoints/request).
    """
    name = f"{user}-{resource.replace('/', '-')}-{'-'.join(verbs)}"
    rule = {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}
    await world.admin.post(_RBAC.format(world.namespace, "roles"), {"metadata": {"name": name}, "rules": [rule]})
    await bind(world, name, user, "Role")


@asynccontextmanager
async def person(world: World, user: str, *groups: str) -> AsyncIterator[Client]:
    """Give a client of a user who holds the ClusterRole ``edit`` in the test's namespace."""
    await bind(world, "edit", user, "ClusterRole")
    await holds(world, user, "patch", "apps", "deployments")
    written = yaml.safe_load(world.plane.user_kubeconfig(user, groups).read_text())["users"][0]["user"]
    pair = world.plane.folder / f"{world.namespace}-{user}.pem"
    pair.touch(mode=0o600)
    pair.write_bytes(b"".join(base64.b64decode(written[f"client-{part}-data"]) for part in ("certificate", "key")))
    context = ssl.create_default_context(cadata=world.plane.ca_pem.decode())
    context.load_cert_chain(pair)
    async with Client(world.plane.api_url, context) as client:
        yield client


async def holds(world: World, user: str, verb: str, group: str, resource: str) -> None:
    """Wait until the authorizer, which learns by a watch, grants a user a verb in the test's namespace."""
    asked = {"namespace": world.namespace, "verb": verb, "group": group, "resource": resource}
    body = {"spec": {"user": user, "resourceAttributes": asked}}

    async def granted() -> bool:
        answer = await world.admin.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
        return bool(answer["status"].get("allowed"))

    await until(granted, what=f"{user} may {verb} {resource}")


async def bind(world: World, role: str, user: str, kind: str) -> None:
    """Bind a Role or ClusterRole (``kind``) to a user, in the test's namespace."""
    binding = {
        "metadata": {"name": f"{user}-{role}"},
        "roleRef": {"apiGroup": _GROUP, "kind": kind, "name": role},
        "subjects": [{"apiGroup": _GROUP, "kind": "User", "name": user}],
    }
    await world.admin.post(_RBAC.format(world.namespace, "rolebindings"), binding)
