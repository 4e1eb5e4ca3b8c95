package standin;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;

/** The tests' way into the database: a statement a line in; rows, cells between tabs, and an empty line out. */
public final class Console {
    private Console() {}

    public static void main(String[] arguments) throws IOException, SQLException {
        try (Connection connection = DriverManager.getConnection(arguments[0], arguments[1], arguments[2]);
                BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                try (Statement statement = connection.createStatement()) {
                    print(statement.execute(line) ? statement.getResultSet() : null);
                } catch (SQLException failure) {
                    System.out.println("!" + failure.getMessage().replace('\n', ' '));
                }
                System.out.println();
                System.out.flush();
            }
        }
    }

    private static void print(ResultSet rows) throws SQLException {
        while (rows != null && rows.next()) {
            List<String> cells = new ArrayList<>();
            for (int column = 1; column <= rows.getMetaData().getColumnCount(); column++) {
                String cell = rows.getString(column);
                cells.add(cell == null ? "NULL" : cell);
            }
            System.out.println("=" + String.join("\t", cells));
        }
    }
}
