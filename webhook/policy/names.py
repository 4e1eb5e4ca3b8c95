"""Names that others see: annotations, labels, environment variables, paths, versions.

Facts about the Gateway come from the layer7-operator (v1.2.2) and the Helm chart of apim-charts (3.0.30);
the schema-update modes from layer7-operator pull request 99 (Gateway 11.2.2).
"""

from typing import Final

GROUP: Final = "schemagate.io"
VERSION: Final = "v1alpha1"
RECORD_API_VERSION: Final = f"{GROUP}/{VERSION}"
RECORD_KIND: Final = "GatewayMigration"
GATEWAY_API_VERSION: Final = "security.brcmlabs.com/v1"
GATEWAY_KIND: Final = "Gateway"

# Annotations that a user sets.
GATEWAY_CONTAINER: Final = f"{GROUP}/gateway-container"
MIGRATION_JOB: Final = f"{GROUP}/migration-job"
MIGRATION_JOB_ENABLED: Final = "enabled"
JDBC_URL: Final = f"{GROUP}/jdbc-url"
CLEAR_LOCKS: Final = f"{GROUP}/clear-locks"
ACTIVE_DEADLINE_SECONDS: Final = f"{GROUP}/active-deadline-seconds"
LIQUIBASE_LOG_LEVEL_ANNOTATION: Final = f"{GROUP}/liquibase-log-level"
RETRY: Final = f"{GROUP}/retry"
ROTATE: Final = f"{GROUP}/rotate"
PRUNE: Final = f"{GROUP}/prune"
BYPASS_REASON: Final = f"{GROUP}/bypass-reason"
BYPASS_UNTIL: Final = f"{GROUP}/bypass-until"
BYPASS_HASH: Final = f"{GROUP}/bypass-hash"

# Annotations that only schemagate sets.
HELD: Final = f"{GROUP}/held"
MIGRATED: Final = f"{GROUP}/migrated"
ROTATED: Final = f"{GROUP}/rotated"
PRUNED: Final = f"{GROUP}/pruned"

# Label on a namespace: reject | hold | warn | audit.
ENFORCE: Final = f"{GROUP}/enforce"

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
COMPONENT: Final = "app.kubernetes.io/component"
PRODUCT: Final = "schemagate"
MIGRATION_COMPONENT: Final = "db-migration"
HASH: Final = f"{GROUP}/hash"
DATABASE: Final = f"{GROUP}/database"
POD_TEMPLATE_HASH: Final = "pod-template-hash"

# What makes a container a Gateway: both distributions mount the license here, whatever the image is called.
LICENSE_PATH: Final = "/opt/SecureSpan/Gateway/node/default/etc/bootstrap/license/license.xml"
NODE_PROPERTIES_PATH: Final = "/opt/SecureSpan/Gateway/node/default/etc/conf/node.properties"

# Environment of a Gateway.
EXTRA_JAVA_ARGS: Final = "EXTRA_JAVA_ARGS"
LIQUIBASE_LOG_LEVEL: Final = "LIQUIBASE_LOG_LEVEL"
# Liquibase's own, for `liquibase.changelogLockWaitTimeInMinutes`: how long it waits for its lock; else 5 minutes.
LOCK_WAIT_MINUTES: Final = "LIQUIBASE_CHANGELOG_LOCK_WAIT_TIME_IN_MINUTES"
SSG_DATABASE_JDBC_URL: Final = "SSG_DATABASE_JDBC_URL"
DISKLESS_CONFIG: Final = "DISKLESS_CONFIG"

# Where schemagate keeps what EXTRA_JAVA_ARGS held before, when it has to rename it.
KEPT_JAVA_ARGS: Final = "SCHEMAGATE_EXTRA_JAVA_ARGS"

# How the annotations begin by which cert-manager's injector is asked to write CA bundles.
INJECT: Final = "cert-manager.io/inject-"

MODE_PROPERTY: Final = "gateway.db.schema-update.mode"
MODE_SKIP: Final = "skip"
MODE_LIQUIBASE_ONLY: Final = "liquibase-only"
MODE_LIQUIBASE_ONLY_WITH_UNLOCK: Final = "liquibase-only-with-unlock"

# The first Gateway that knows the schema-update modes.
FIRST_SUPPORTED: Final = (11, 2, 2)
