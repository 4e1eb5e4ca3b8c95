"""Finds the cluster: the service account of a pod, or a kubeconfig."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config.incluster_config import InClusterConfigLoader
from kubernetes_asyncio.config.kube_config import KubeConfigLoader, KubeConfigMerger

from webhook.errors import StartError
from webhook.kube.api.client import Client, Observe
from webhook.kube.api.credentials import Credentials, FixedCredentials, TokenFile
from webhook.kube.api.transport import Transport
from webhook.policy.decision import printable

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
USER_AGENT = "schemagate"

_DEFAULT_NAMESPACE = "default"
_TOKEN = "BearerToken"  # noqa: S105 # the library's name for it, of basic authentication as well


@dataclass(frozen=True, slots=True)
class _Kubeconfig:
    """A kubeconfig, merged from one or more files, with a context chosen."""

    merged: KubeConfigMerger
    loader: KubeConfigLoader

    @property
    def context(self) -> Mapping[str, Any]:
        chosen = self.loader.current_context or {}
        return chosen.get("context") or {}

    def token_file(self) -> Path | None:
        """Where the user's token is read from; kubectl prefers it to a token that is written out."""
        users = self.merged.config["users"] if self.merged.config else None
        entry = users.get_with_name(self.context.get("user"), safe=True) if users else None
        user = (entry.value.get("user") if entry else None) or {}
        if entry is None or not user.get("tokenFile") or "exec" in user or "auth-provider" in user:
            return None
        return Path(entry.path or "").absolute().parent / str(user["tokenFile"])


async def connect(
    kubeconfig: Path | None = None,
    context: str | None = None,
    *,
    strict_x509: bool = False,
    user_agent: str = USER_AGENT,
    observe: Observe | None = None,
    environ: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
) -> Client:
    """Make a client, without asking the API server anything yet. Raises StartError that says what to mend.

    In a pod its service account is used unless a kubeconfig or a context is named; elsewhere the kubeconfig that
    is named, else ``KUBECONFIG``, else ``~/.kube/config``. ``strict_x509`` refuses certificates that lack what RFC
    5280 demands of them; many clusters' own authorities do. ``user_agent`` shows in the API server's audit log.
    The authority's certificate is read once: a cluster that replaces its authority needs its pods restarted.
    """
    configuration = Configuration()
    configuration.disable_strict_ssl_verification = not strict_x509
    in_pod = _in_pod(kubeconfig, context, environ)
    try:
        if in_pod:
            credentials = _service_account(configuration, environ, service_account)
        else:
            credentials = await _from_kubeconfig(configuration, kubeconfig, context, environ)
        transport = Transport(configuration, credentials, user_agent)
    except StartError:
        raise
    except Exception as error:
        # Both loaders meet malformed files with whatever Python says then: KeyError, AssertionError, TypeError.
        source = f"the service account in {service_account}" if in_pod else _paths(kubeconfig, environ)
        raise StartError(f"no cluster can be reached with {source}: {_words(error)}") from error
    return Client(transport, observe=observe)


def own_namespace(
    kubeconfig: Path | None = None,
    context: str | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
) -> str:
    """Give the namespace of the pod, or the one of the kubeconfig's context; else ``default``.

    The cluster is chosen as `connect` chooses it. Raises StartError when there is none.
    """
    try:
        if _in_pod(kubeconfig, context, environ):
            return (service_account / "namespace").read_text(encoding="ascii").strip() or _DEFAULT_NAMESPACE
        return str(_read(kubeconfig, context, environ).context.get("namespace") or _DEFAULT_NAMESPACE)
    except StartError:
        raise
    except Exception as error:
        raise StartError(f"the namespace this runs in cannot be told: {_words(error)}") from error


def _in_pod(kubeconfig: Path | None, context: str | None, environ: Mapping[str, str]) -> bool:
    return kubeconfig is None and context is None and bool(environ.get("KUBERNETES_SERVICE_HOST"))


def _service_account(configuration: Configuration, environ: Mapping[str, str], folder: Path) -> Credentials:
    token = folder / "token"
    loader = InClusterConfigLoader(
        token_filename=str(token),
        cert_filename=str(folder / "ca.crt"),
        # Rotation is ours: see TokenFile.
        try_refresh_token=False,
        environ=dict(environ),
    )
    loader.load_and_set(configuration)
    return TokenFile(token)


async def _from_kubeconfig(
    configuration: Configuration, kubeconfig: Path | None, context: str | None, environ: Mapping[str, str]
) -> Credentials:
    config = _read(kubeconfig, context, environ)
    # Gives a token of exec plugins and OIDC as well, once: that serves a person at a command line.
    await config.loader.load_and_set(configuration)
    if not configuration.host:
        raise StartError(f"{_paths(kubeconfig, environ)}: the context's cluster has no server")
    token_file = config.token_file()
    return FixedCredentials(configuration.api_key.get(_TOKEN)) if token_file is None else TokenFile(token_file)


def _read(kubeconfig: Path | None, context: str | None, environ: Mapping[str, str]) -> _Kubeconfig:
    paths = _paths(kubeconfig, environ)
    if not any(path and Path(path).expanduser().is_file() for path in paths.split(os.pathsep)):
        raise StartError(
            f"there is no kubeconfig at {paths}, and this is no pod with a service account: "
            "name a kubeconfig, or set KUBECONFIG"
        )
    merged = KubeConfigMerger(paths)
    # The library passes its persister an argument that its own persister does not take.
    loader = KubeConfigLoader(
        merged.config,
        active_context=context,
        config_base_path=None,
        config_persister=lambda *_: merged.save_changes(),
    )
    return _Kubeconfig(merged, loader)


def _paths(kubeconfig: Path | None, environ: Mapping[str, str]) -> str:
    return str(kubeconfig) if kubeconfig is not None else environ.get("KUBECONFIG") or "~/.kube/config"


def _words(error: Exception) -> str:
    return printable(f"{type(error).__name__}: {error}".rstrip(": "), 300)
