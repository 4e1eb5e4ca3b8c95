"""Which resources are asked for, and where they are in the API server's tree of paths."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from webhook.errors import RejectedError
from webhook.policy import names


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind as the API server serves it. ``group`` is empty for the core group."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """What ``apiVersion`` says in an object of this kind."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Give the path of a collection, or of one object when a name is given.

        Without a namespace it is the collection of all namespaces. Raises RejectedError for what cannot be the
        path of such a resource: an object without its namespace, a subresource of nothing, a name that would
        lead elsewhere in the tree.
        """
        if name and bool(namespace) != self.namespaced:
            raise RejectedError(f"{self.plural}: an object is found by {'namespace and ' * self.namespaced}name")
        if (subresource and not name) or (namespace and not self.namespaced):
            raise RejectedError(f"{self.plural}: there is no such path")
        root = ("apis", self.group, self.version) if self.group else ("api", self.version)
        scope = ("namespaces", namespace) if namespace else ()
        return "/" + "/".join(_segment(part) for part in (*root, *scope, self.plural, name, subresource) if part)


def _segment(text: str) -> str:
    # A slash is encoded, but a dot is not: "..", encoded or not, is resolved by whoever stands in between.
    if text in {".", ".."}:
        raise RejectedError(f"{text!r} is no name of an object")
    return quote(text, safe="")


@dataclass(frozen=True, slots=True)
class Target:
    """What a path leads to: a label for metrics (``jobs``, ``pods/log``), and whether it is one object."""

    label: str
    named: bool


def target_of(path: str) -> Target:
    """Tell what a path that `Resource.path` made leads to. The label holds no name of an object."""
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:] if parts[0] == "apis" else []
    if not rest:
        return Target(parts[0], named=False)
    # A namespace itself has the same beginning as what it holds: /namespaces/x, /namespaces/x/status.
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in {"status", "finalize"}:
        rest = rest[2:]
    return Target("/".join((rest[0], *rest[2:])), named=len(rest) > 1)


PODS: Final = Resource("", "v1", "pods", "Pod")
CONFIG_MAPS: Final = Resource("", "v1", "configmaps", "ConfigMap")
NAMESPACES: Final = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
DEPLOYMENTS: Final = Resource("apps", "v1", "deployments", "Deployment")
JOBS: Final = Resource("batch", "v1", "jobs", "Job")
EVENTS: Final = Resource("events.k8s.io", "v1", "events", "Event")
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases", "Lease")
SUBJECT_ACCESS_REVIEWS: Final = Resource(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False
)
RECORDS: Final = Resource(names.GROUP, names.VERSION, "gatewaymigrations", names.RECORD_KIND)
GATEWAYS: Final = Resource(
    names.GATEWAY_API_VERSION.partition("/")[0],
    names.GATEWAY_API_VERSION.partition("/")[2],
    "gateways",
    names.GATEWAY_KIND,
)
