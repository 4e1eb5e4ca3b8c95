"""What the service accounts may do, asked of the API server by SubjectAccessReviews."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from webhook.errors import ClusterError
from webhook.kube.api.client import Client
from webhook.kube.doctor.look import unread
from webhook.kube.resources import SUBJECT_ACCESS_REVIEWS
from webhook.policy.diagnosis.expected import ACCOUNTS
from webhook.policy.diagnosis.line import Unread
from webhook.policy.diagnosis.rights import Right, rights

_SIDE_BY_SIDE: Final = 8
"""Questions at a time: what a person asks is not to crowd out what schemagate asks."""


async def held_rights(
    client: Client, namespace: str, migrating: Sequence[str]
) -> tuple[Mapping[Right, bool] | Unread, tuple[str, ...]]:
    """Ask for every right that the accounts of an installation need; name those accounts that may do everything.

    What may be granted namespace by namespace is enough where it is held in all namespaces of ``migrating``; while
    there are none, it is left out. Where the person may not ask for others, or gets no answer, it is Unread.
    """
    turn = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def allowed(right: Right) -> bool:
        async with turn:
            return await _allowed(client, right, namespace)

    async def held(right: Right) -> dict[Right, bool]:
        if await allowed(right):
            return {right: True}
        if not right.by_namespace:
            return {right: False}
        return {one: await allowed(one) for one in (replace(right, namespace=where) for where in migrating)}

    everything = [Right(account, "*", "*", "*", "", "") for account in ACCOUNTS]
    try:
        answers = await asyncio.gather(*map(held, rights(namespace)))
        almighty = [right.account for right in everything if await allowed(right)]
    except ClusterError as error:
        return unread(error, "create subjectaccessreviews.authorization.k8s.io"), ()
    return {right: told for answer in answers for right, told in answer.items()}, tuple(almighty)


async def _allowed(client: Client, right: Right, own: str) -> bool:
    resource, _, part = right.resource.partition("/")
    attributes = {
        "group": right.group,
        "resource": resource,
        "subresource": part,
        "verb": right.verb,
        "name": right.name,
        "namespace": right.namespace,
    }
    spec = {
        "user": f"system:serviceaccount:{own}:{right.account}",
        "groups": ["system:serviceaccounts", f"system:serviceaccounts:{own}", "system:authenticated"],
        "resourceAttributes": {key: value for key, value in attributes.items() if value},
    }
    body = {"apiVersion": SUBJECT_ACCESS_REVIEWS.api_version, "kind": SUBJECT_ACCESS_REVIEWS.kind, "spec": spec}
    raw = await client.request("POST", SUBJECT_ACCESS_REVIEWS.path(), body=body)
    return msgspec.json.decode(raw)["status"].get("allowed") is True
