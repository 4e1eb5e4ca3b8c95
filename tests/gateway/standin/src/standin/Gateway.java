package standin;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.Locale;
import java.util.concurrent.Executors;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * A stand-in for a Gateway: of its contract with environment and database it keeps what the tests need.
 *
 * <p>Left out, among much: the lock of a Gateway's own, which a session holds by GET_LOCK (here it is Liquibase's table),
 * all that a Gateway writes beside Liquibase, every SSG_DATABASE_* but URL, user and password, and all that it serves.
 * Liquibase is 4.33 here, which heeds LIQUIBASE_CHANGELOG_LOCK_WAIT_TIME_IN_MINUTES; a Gateway's is its image's.
 */
public final class Gateway {
    private static final String FORMAT = "java.util.logging.SimpleFormatter.format";
    // Held here: loggers that nobody holds are collected, and their level with them.
    private static final Logger LIQUIBASE = Logger.getLogger("liquibase");
    private static Logger log;

    private Gateway() {}

    public static void main(String[] arguments) {
        System.setProperty(FORMAT, "%1$tFT%1$tT.%1$tL%1$tz %4$s %3$s: %5$s%6$s%n");
        log = Logger.getLogger("gateway");
        try {
            run();
        } catch (Settings.Refused refused) {
            log.severe(refused.getMessage());
            System.exit(1);
        } catch (Exception failure) {
            log.log(Level.SEVERE, "The Gateway could not start", failure);
            System.exit(1);
        }
    }

    private static void run() throws Exception {
        Level level = level(System.getenv().getOrDefault("LIQUIBASE_LOG_LEVEL", "off"));
        LIQUIBASE.setLevel(level);
        // A Gateway at `off` says nothing at all of a migration; Liquibase by itself still writes to standard output.
        boolean loud = level != Level.OFF;
        Settings settings = Settings.of(System.getenv());
        Path changelogs = Path.of(System.getenv().getOrDefault("GATEWAY_CHANGELOGS", "/opt/standin/changelogs"));
        Schema schema = new Schema(settings);
        log.info("Gateway " + settings.version() + ", schema update mode " + settings.mode());
        switch (settings.mode()) {
            case "skip" -> start(settings, schema);
            case "default" -> {
                schema.update(changelogs, false, loud);
                start(settings, schema);
            }
            case "liquibase-only" -> migrate(schema, changelogs, false, loud);
            case "liquibase-only-with-unlock" -> migrate(schema, changelogs, true, loud);
            default -> throw new Settings.Refused("unknown schema update mode " + settings.mode());
        }
    }

    private static void migrate(Schema schema, Path changelogs, boolean unlock, boolean loud) throws Exception {
        schema.update(changelogs, unlock, loud);
        log.info("The schema is at " + schema.version());
        System.exit(0);
    }

    /**
     * Serves who this is and what the schema says, read anew for every request: null where it cannot be read. Nothing
     * depends on it: whoever starts in skip starts, whatever there is of a schema.
     */
    private static void start(Settings settings, Schema schema) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress(Integer.getInteger("standin.port", 8443)), 0);
        server.setExecutor(Executors.newFixedThreadPool(2));
        server.createContext("/", exchange -> {
            String found;
            try {
                found = '"' + schema.version() + '"';
            } catch (SQLException failure) {
                found = "null";
            }
            String form = "{\"version\": \"%s\", \"schema\": %s, \"mode\": \"%s\"}%n";
            String body = String.format(form, settings.version(), found, settings.mode());
            byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(200, bytes.length);
            exchange.getResponseBody().write(bytes);
            exchange.close();
        });
        server.start();
        log.info("Gateway is now started on port " + server.getAddress().getPort());
    }

    private static Level level(String name) throws Settings.Refused {
        return switch (name.toLowerCase(Locale.ROOT)) {
            case "off" -> Level.OFF;
            case "severe" -> Level.SEVERE;
            case "warning" -> Level.WARNING;
            case "info" -> Level.INFO;
            case "debug", "fine" -> Level.FINE;
            default -> throw new Settings.Refused("unknown LIQUIBASE_LOG_LEVEL " + name);
        };
    }
}
