import java.sql.*;

/**
 * Connector/J and MariaDB Connector/J against the admin port, as they connect by themselves: java Java.java PORT.
 * The lines printed are as in python.py.
 */
public class Java {
  static boolean failed;

  static void check(String name, String url) {
    boolean good = true;
    String why;
    try (Connection connection = DriverManager.getConnection(url, "ops", "admin-pw")) {
      why = whole(connection);
    } catch (SQLException | IllegalStateException error) {
      good = false;
      why = ("" + error).replaceAll("\\s+", " ");
    }
    failed |= !good;
    System.out.println((good ? "ok   " : "FAIL ") + name + " -> " + why.substring(0, Math.min(200, why.length())));
  }

  static void expect(boolean condition, String what) {
    if (!condition) throw new IllegalStateException(what);
  }

  static String whole(Connection connection) throws SQLException {
    Statement statement = connection.createStatement();
    ResultSet status = statement.executeQuery("SHOW GLOBAL STATUS LIKE 'Uptime'");
    expect(status.next() && status.getLong("Value") >= 0, "a number");
    statement.execute("ALTER INSTANCE RELOAD TLS");
    ResultSet backends = statement.executeQuery("SHOW BACKENDS");
    expect(backends.next() && backends.getString("Route").equals("source"), "the source");
    ResultSet certificates = statement.executeQuery("SHOW CERTIFICATES");
    expect(certificates.next() && certificates.getLong("Days_left") > 0, "days left");
    try {
      statement.execute("SHOW ENGINES");
      throw new IllegalStateException("SHOW ENGINES was answered");
    } catch (SQLException error) {
      expect(error.getErrorCode() == 1235, "1235, not " + error);
    }
    connection.setAutoCommit(false);
    connection.commit();
    expect(connection.isValid(5), "valid");
    ResultSet user = statement.executeQuery("SELECT CURRENT_USER()");
    user.next();
    return user.getString(1);
  }

  public static void main(String[] arguments) {
    String at = "//127.0.0.1:" + arguments[0] + "/";
    check("Connector/J", "jdbc:mysql:" + at);
    check("Connector/J with server-side prepare", "jdbc:mysql:" + at + "?useServerPrepStmts=true");
    check("MariaDB J", "jdbc:mariadb:" + at);
    System.exit(failed ? 1 : 0);
  }
}
