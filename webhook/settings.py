"""Settings of the process. Each is an environment variable ``SCHEMAGATE_…`` and a flag of the command line."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from webhook.errors import StartError
from webhook.policy.record import Mode
from webhook.policy.rollout.bypass import LONGEST
from webhook.policy.rollout.change import DryRun, Terms

Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseSettings):
    """All settings; a flag wins over the environment. Times are in seconds, port 0 is any free one."""

    model_config = SettingsConfigDict(env_prefix="SCHEMAGATE_", env_ignore_empty=True, frozen=True, extra="ignore")

    host: Annotated[str, Field(min_length=1, description="address that both servers listen on")] = "127.0.0.1"
    port: Annotated[Port, Field(description="port of the webhooks (HTTPS)")] = 9443
    ops_port: Annotated[Port, Field(description="port of /healthz, /readyz and /metrics (HTTP)")] = 8080
    tls_cert: Annotated[Path | None, Field(description="certificate chain, PEM; reloaded when it changes")] = None
    tls_key: Annotated[Path | None, Field(description="private key, PEM")] = None
    tls_ca: Annotated[
        Path | None, Field(description="with --tls-cert: CA bundle (PEM) that has to verify it before it is ready")
    ] = None
    client_ca: Annotated[
        Path | None,
        Field(description="CA (PEM) of the API server's client certificate; by default none is asked for"),
    ] = None
    client_names: Annotated[
        str, Field(description="with --client-ca: common names that may come, separated by commas; empty: any")
    ] = ""
    certificates: Annotated[
        Literal["self-managed", "files"] | None,
        Field(description="where the certificate comes from; by default files with --tls-cert, else self-managed"),
    ] = None
    certificate_names: Annotated[
        str,
        Field(description="more names and addresses to certify, separated by commas, for webhooks called by URL"),
    ] = ""
    cluster_domain: Annotated[str, Field(min_length=1, description="DNS domain of the cluster")] = "cluster.local"
    service: Annotated[str, Field(min_length=1, max_length=63, description="Service of the webhooks")] = (
        "schemagate-webhook"
    )
    ca_lifetime_seconds: Annotated[
        float, Field(ge=10, le=10 * 31_536_000, description="how long a CA of ours lives")
    ] = 31_536_000.0
    leaf_lifetime_seconds: Annotated[
        float, Field(ge=5, le=31_536_000, description="how long a serving certificate of ours lives")
    ] = 7_776_000.0
    settle_seconds: Annotated[
        float,
        Field(ge=0.1, le=3600, description="how long all webhooks hold a new CA before a leaf of it is shown"),
    ] = 60.0
    default_mode: Annotated[
        Mode, Field(description="mode where neither record nor namespace names one, the same for both processes")
    ] = Mode.REJECT
    bypass_max_seconds: Annotated[
        float, Field(ge=1, le=31_536_000, description="how far ahead schemagate.io/bypass-until may lie")
    ] = LONGEST.total_seconds()
    dry_run: Annotated[
        DryRun, Field(description="dry runs that would be denied: decide denies them, warn allows with a warning")
    ] = DryRun.DECIDE
    drain_seconds: Annotated[
        float, Field(ge=0, le=300, description="how long to serve on, closing connections, after SIGTERM")
    ] = 10.0
    kubeconfig: Annotated[Path | None, Field(description="kubeconfig of the cluster, when not run in it")] = None
    context: Annotated[str | None, Field(description="context of the kubeconfig")] = None
    namespace: Annotated[str | None, Field(description="namespace of schemagate itself, when not run in it")] = (
        None
    )
    strict_x509: Annotated[
        bool, Field(description="refuse an API server whose certificates lack key identifiers (RFC 5280)")
    ] = False
    identity: Annotated[
        str | None, Field(max_length=200, description="name of this replica; by default the pod's")
    ] = None
    lease_name: Annotated[str, Field(min_length=1, max_length=63, description="Lease of the controller")] = (
        "schemagate-controller"
    )
    lease_seconds: Annotated[
        float, Field(ge=3, le=300, description="how long a Lease outlives its holder; renewed three times in it")
    ] = 15.0
    watch_idle_seconds: Annotated[
        float, Field(ge=5, le=300, description="silence after which a watch counts as dead and is opened anew")
    ] = 55.0
    workers: Annotated[int, Field(ge=1, le=64, description="Deployments reconciled side by side")] = 8
    gather_seconds: Annotated[
        float, Field(ge=0, le=60, description="how long rejections are gathered before records are written")
    ] = 2.0
    reload_seconds: Annotated[
        float, Field(ge=0.1, le=3600, description="how often the certificate files are looked at")
    ] = 10.0
    decision_log: Annotated[
        Literal["all", "notable", "off"],
        Field(description="verdicts told on standard output, a JSON line each; notable: denials and warnings"),
    ] = "all"
    view: Annotated[
        bool, Field(description="show the audit's report as /audit on the ops port of the controller")
    ] = False
    reports: Annotated[
        Literal["auto", "off", "openreports.io", "wgpolicyk8s.io"],
        Field(description="API group of policy reports that are written; auto: openreports.io, else the other"),
    ] = "auto"
    report_seconds: Annotated[
        float, Field(ge=0.1, le=3600, description="least time between two writes of a namespace's policy report")
    ] = 30.0
    scan_seconds: Annotated[
        float,
        Field(ge=0, le=86_400, description="how often the leader scans all Gateways and their pods; 0: never"),
    ] = 600.0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="least level that is logged")
    ] = "info"

    @property
    def terms(self) -> Terms:
        """What holds for all rollouts."""
        return Terms(bypass_longest=timedelta(seconds=self.bypass_max_seconds), dry_run=self.dry_run)


def read_settings(**flags: object) -> Settings:
    """Read settings from flags (None means not given) and the environment.

    Raises StartError that names every bad setting and what it takes.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        settings = Settings(**given)  # type: ignore[arg-type] # pydantic checks them
    except ValidationError as error:
        problems = (
            f"{'.'.join(str(part) for part in problem['loc'])} (SCHEMAGATE_{str(problem['loc'][0]).upper()}): "
            f"{problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise StartError("; ".join(problems)) from None
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise StartError("give both --tls-cert and --tls-key, or neither for a certificate that is made for you")
    if settings.certificates == "self-managed" and settings.tls_cert is not None:
        raise StartError("SCHEMAGATE_CERTIFICATES=self-managed: leave out --tls-cert and --tls-key")
    if settings.tls_ca is not None and settings.tls_cert is None:
        raise StartError("--tls-ca verifies what --tls-cert names: give both")
    if settings.client_names and settings.client_ca is None:
        raise StartError("--client-names are of certificates that --client-ca vouches for: give both")
    return settings
