package standin;

import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Arrays;
import liquibase.Contexts;
import liquibase.Liquibase;
import liquibase.database.Database;
import liquibase.database.DatabaseFactory;
import liquibase.database.jvm.JdbcConnection;
import liquibase.resource.DirectoryResourceAccessor;

/** The schema of one database: brought up to a version by Liquibase, and read. */
final class Schema {
    private final Settings settings;

    Schema(Settings settings) {
        this.settings = settings;
    }

    /** Runs the changelog of this version; {@code unlock} first takes the lock away from whoever holds it. */
    void update(Path changelogs, boolean unlock) throws Exception {
        Database database =
                DatabaseFactory.getInstance().findCorrectDatabaseImplementation(new JdbcConnection(connect()));
        String changelog = "versions/" + settings.version() + ".xml";
        // Of a folder nothing is held open, so that the accessor need not be closed.
        try (Liquibase liquibase = new Liquibase(changelog, new DirectoryResourceAccessor(changelogs), database)) {
            if (unlock) {
                liquibase.forceReleaseLocks();
            }
            liquibase.update(new Contexts());
        }
    }

    /** Gives the version that the schema says it has; SQLException where there is no schema. */
    String version() throws SQLException {
        try (Connection connection = connect();
                Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT current_version FROM ssg_version")) {
            if (!rows.next()) {
                throw new SQLException("ssg_version is empty");
            }
            return rows.getString(1);
        }
    }

    /** Tells whether one version's numbers come before another's; what follows a dash does not count. */
    static boolean older(String one, String other) {
        return Arrays.compare(numbers(one), numbers(other)) < 0;
    }

    private static int[] numbers(String version) {
        return Arrays.stream(version.split("-")[0].split("\\.")).mapToInt(Integer::parseInt).toArray();
    }

    private Connection connect() throws SQLException {
        return DriverManager.getConnection(settings.url(), settings.user(), settings.password());
    }
}
