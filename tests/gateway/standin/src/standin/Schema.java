package standin;

import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Map;
import liquibase.Contexts;
import liquibase.Liquibase;
import liquibase.Scope;
import liquibase.database.Database;
import liquibase.database.DatabaseFactory;
import liquibase.database.jvm.JdbcConnection;
import liquibase.resource.DirectoryResourceAccessor;
import liquibase.ui.LoggerUIService;
import liquibase.ui.UIService;

/** The schema of one database: brought up to a version by Liquibase, and read. */
final class Schema {
    private final Settings settings;

    Schema(Settings settings) {
        this.settings = settings;
    }

    /**
     * Runs the changelog of this version; {@code unlock} first takes the lock away from whoever holds it. Unless
     * {@code loud}, what Liquibase tells a person at a terminal goes to its log too, and so is as quiet as that.
     */
    void update(Path changelogs, boolean unlock, boolean loud) throws Exception {
        UIService told = loud ? Scope.getCurrentScope().getUI() : new LoggerUIService();
        Scope.child(Map.of(Scope.Attr.ui.name(), told), () -> update(changelogs, unlock));
    }

    private void update(Path changelogs, boolean unlock) throws Exception {
        Connection connection = connect(settings.migrating());
        Database database =
                DatabaseFactory.getInstance().findCorrectDatabaseImplementation(new JdbcConnection(connection));
        String changelog = "versions/" + settings.version() + ".xml";
        // Of a folder nothing is held open, so that the accessor need not be closed.
        try (Liquibase liquibase = new Liquibase(changelog, new DirectoryResourceAccessor(changelogs), database)) {
            if (unlock) {
                liquibase.forceReleaseLocks();
            }
            liquibase.update(new Contexts());
        }
    }

    /** Gives the version that the schema says it has; SQLException where there is no schema, and none is made. */
    String version() throws SQLException {
        try (Connection connection = connect(settings.reading());
                Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT current_version FROM ssg_version")) {
            if (!rows.next()) {
                throw new SQLException("ssg_version is empty");
            }
            return rows.getString(1);
        }
    }

    private Connection connect(String url) throws SQLException {
        return DriverManager.getConnection(url, settings.user(), settings.password());
    }
}
