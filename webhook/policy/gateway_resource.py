"""The parts of a Layer7 Gateway resource (``security.brcmlabs.com/v1``) that the rules read."""

from webhook.policy.objects import ObjectMeta, View


class MigrationJobSpec(View, frozen=True):
    """``spec.app.management.database.migrationJob`` of a Gateway (layer7-operator pull request 99)."""

    enabled: bool = False
    jdbc_url: str = ""
    clear_locks: bool = False
    active_deadline_seconds: int | None = None


class GatewayDatabase(View, frozen=True):
    """``spec.app.management.database`` of a Gateway."""

    liquibase_log_level: str = ""
    migration_job: MigrationJobSpec | None = None


class GatewayManagement(View, frozen=True):
    """``spec.app.management`` of a Gateway."""

    database: GatewayDatabase = GatewayDatabase()


class GatewayApp(View, frozen=True):
    """``spec.app`` of a Gateway."""

    image: str = ""
    management: GatewayManagement = GatewayManagement()


class GatewaySpec(View, frozen=True):
    """``spec`` of a Gateway."""

    version: str = ""
    app: GatewayApp = GatewayApp()


class MigrationStatus(View, frozen=True):
    """``status.migrationStatus`` of a Gateway (layer7-operator pull request 99); the hash has 16 digits."""

    spec_hash: str = ""
    complete: bool = False


class GatewayStatus(View, frozen=True):
    """``status`` of a Gateway."""

    migration_status: MigrationStatus | None = None


class Gateway(View, frozen=True):
    """What is read of a ``security.brcmlabs.com/v1`` Gateway."""

    metadata: ObjectMeta = ObjectMeta()
    spec: GatewaySpec = GatewaySpec()
    status: GatewayStatus = GatewayStatus()

    @property
    def is_migrated_by_operator(self) -> bool:
        """Whether it asks its operator for a migration Job."""
        job = self.spec.app.management.database.migration_job
        return job is not None and job.enabled
