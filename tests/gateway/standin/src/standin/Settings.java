package standin;

import java.io.IOException;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;

/** What a Gateway reads before it does anything: license, database (the URL as it was told) and schema-update mode. */
record Settings(String version, String mode, String url, String user, String password) {
    private static final String NODE = "node/default/etc";
    private static final String MODE = "gateway.db.schema-update.mode";
    private static final String CREATE = "createDatabaseIfNotExist";

    /** Thrown for settings that no Gateway starts with; the message says what to do. */
    static final class Refused extends Exception {
        private static final long serialVersionUID = 1;

        Refused(String message) {
            super(message);
        }
    }

    static Settings of(Map<String, String> environment) throws Refused, IOException {
        Path home = Path.of(environment.getOrDefault("GATEWAY_HOME", "/opt/SecureSpan/Gateway"));
        Path license = home.resolve(NODE).resolve("bootstrap/license/license.xml");
        if (!"true".equals(environment.get("ACCEPT_LICENSE"))) {
            throw new Refused("set ACCEPT_LICENSE=true to accept the license");
        }
        if (!Files.isRegularFile(license) || Files.size(license) == 0) {
            throw new Refused("there is no license: mount one at " + license);
        }
        String version = need(environment, "GATEWAY_VERSION");
        String mode = System.getProperty(MODE, "default");
        if (!"false".equals(environment.get("DISKLESS_CONFIG"))) {
            return new Settings(
                    version,
                    mode,
                    need(environment, "SSG_DATABASE_JDBC_URL"),
                    need(environment, "SSG_DATABASE_USER"),
                    need(environment, "SSG_DATABASE_PASSWORD"));
        }
        Properties file = new Properties();
        Path path = home.resolve(NODE).resolve("conf/node.properties");
        if (!Files.isRegularFile(path)) {
            throw new Refused("DISKLESS_CONFIG=false, but nothing is mounted at " + path);
        }
        try (Reader reader = Files.newBufferedReader(path, StandardCharsets.UTF_8)) {
            file.load(reader);
        }
        return new Settings(
                version,
                mode,
                need(file, "l7.mysql.connection.url"),
                need(file, "node.db.config.main.user"),
                need(file, "node.db.config.main.pass"));
    }

    /** Gives the URL as the Gateway's entrypoint completes it: a database that is missing is created unless told. */
    String migrating() {
        return url.contains(CREATE + "=") ? url : with(url, CREATE + "=true");
    }

    /** Gives the URL by which nothing is ever created. */
    String reading() {
        return with(url.replaceAll("(?<=[?&])" + CREATE + "=[^&]*&?", ""), CREATE + "=false");
    }

    private static String with(String url, String option) {
        String joint = !url.contains("?") ? "?" : url.endsWith("?") || url.endsWith("&") ? "" : "&";
        return url + joint + option;
    }

    private static String need(Map<?, ?> source, String name) throws Refused {
        Object value = source.get(name);
        if (value == null || value.toString().isEmpty()) {
            throw new Refused(name + " is not set");
        }
        return value.toString();
    }
}
