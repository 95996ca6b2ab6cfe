import java.sql.*;
import java.util.*;
import java.util.concurrent.CompletableFuture;

/**
 * The Java clients (Connector/J and MariaDB Connector/J) against one port: java Java.java security|session PORT PKI.
 * What the two words mean, and the lines printed, are as in python.py.
 */
public class Java {
  static final String USER = System.getenv().getOrDefault("LAB_USER", "app_ssl");
  static final String PASSWORD = "app-pw";
  static final boolean TLS = System.getenv().getOrDefault("LAB_TLS", "yes").equals("yes");
  static final boolean ON_MARIADB = "mariadb".equals(System.getenv("LAB_SERVER"));
  static final boolean THROUGH_PROXY = "1".equals(System.getenv("LAB_PROXY"));
  static final List<String> SKIPPED = List.of(System.getenv().getOrDefault("LAB_SKIP", "").split("\n"));
  static boolean failed;

  interface Run { Object run() throws Exception; }

  /** What a driver's URL looks like; every option is `&key=value`. */
  record Driver(String name, String url, String certificate) {
    Connection as(String user, String password, String options) throws SQLException {
      return DriverManager.getConnection(url + options, user, password);
    }
    Connection connect(String options) throws SQLException { return as(USER, PASSWORD, options); }
  }

  static void check(String name, Run run) { check(name, false, run); }
  static void refused(String name, Run run) { check(name, true, run); }

  static void check(String name, boolean refused, Run run) {
    if (SKIPPED.contains(name)) {
      System.out.println("skip " + name);
      return;
    }
    boolean good;
    String why;
    try {
      why = "" + run.run();
      good = !refused;
    } catch (SQLException error) {
      why = error.getMessage();
      good = refused;
    } catch (Exception error) {
      why = error.toString();
      good = false;
    }
    failed |= !good;
    why = why.replaceAll("\\s+", " ");
    System.out.println((good ? "ok   " : "FAIL ") + name + " -> " + why.substring(0, Math.min(160, why.length())));
  }

  static <T> T expect(T got, T wanted) {
    if (!got.equals(wanted)) throw new IllegalStateException(got + " instead of " + wanted);
    return got;
  }

  static ResultSet first(Connection connection, String sql) throws SQLException {
    ResultSet rows = connection.createStatement().executeQuery(sql);
    rows.next();
    return rows;
  }

  static Object who(Connection connection) throws SQLException {
    try (connection) {
      ResultSet row = first(connection, "SELECT REPEAT('x', 300000), CURRENT_USER()");
      expect(row.getString(1).length(), 300000);
      PreparedStatement statement = connection.prepareStatement("SELECT ? + 1");
      statement.setInt(1, 2);
      ResultSet sum = statement.executeQuery();
      sum.next();
      expect(sum.getInt(1), 3);
      return row.getString(2);
    }
  }

  static Driver mysql(String at, String pki) {
    String trust = "&trustCertificateKeyStoreUrl=file:" + pki + "/truststore.p12&trustCertificateKeyStoreType=PKCS12&trustCertificateKeyStorePassword=labpass";
    return new Driver("Connector/J", "jdbc:mysql:" + at + (TLS ? "sslMode=VERIFY_IDENTITY" + trust : "sslMode=DISABLED&allowPublicKeyRetrieval=true"),
        "&clientCertificateKeyStoreUrl=file:" + pki + "/client-dm-rsa.p12&clientCertificateKeyStoreType=PKCS12&clientCertificateKeyStorePassword=labpass");
  }

  static Driver mariadb(String at, String pki) {
    return new Driver("MariaDB J", "jdbc:mariadb:" + at + (TLS ? "sslMode=verify-full&serverSslCert=" + pki + "/root-ca.pem" : "sslMode=disable&allowPublicKeyRetrieval=true"),
        "&keyStore=" + pki + "/client-dm-rsa.p12&keyStorePassword=labpass&keyStoreType=PKCS12");
  }

  static void security(String at, String pki) {
    Driver my = mysql(at, pki), maria = mariadb(at, pki);
    for (String version : new String[] {"TLSv1.2", "TLSv1.3"}) {
      check("Connector/J " + version, () -> who(my.connect("&tlsVersions=" + version)));
      check("MariaDB J " + version, () -> who(maria.connect("&enabledSslProtocolSuites=" + version)));
    }
    check("Connector/J server-side prepare", () -> who(my.connect("&useServerPrepStmts=true&cachePrepStmts=true")));
    check("Connector/J compressed", () -> who(my.connect("&useCompression=true")));
    refused("Connector/J system trust only", () -> who(DriverManager.getConnection("jdbc:mysql:" + at + "sslMode=VERIFY_CA", USER, PASSWORD)));
    // Against MariaDB 11.4 and later this driver accepts an unknown certificate that the login proves, unless a proxy
    // has put its own there.
    if (!ON_MARIADB || THROUGH_PROXY) {
      refused("MariaDB J wrong CA", () -> who(DriverManager.getConnection("jdbc:mariadb:" + at + "sslMode=verify-ca&serverSslCert=" + pki + "/other-ca.pem", USER, PASSWORD)));
    }
    for (Driver driver : List.of(my, maria)) {
      check(driver.name + " dm, client certificate", () -> who(driver.as("dm", "dm-pw", driver.certificate)));
      refused(driver.name + " dm, no certificate", () -> who(driver.as("dm", "dm-pw", "")));
    }
  }

  static void session(Driver driver) throws SQLException {
    Connection connection = driver.connect("&useServerPrepStmts=true&allowMultiQueries=true");
    Statement statement = connection.createStatement();
    check(driver.name + " prepared", () -> {
      try (PreparedStatement prepared = connection.prepareStatement("SELECT ? + 1, ?")) {
        for (int n : new int[] {1, 41}) {
          prepared.setInt(1, n);
          prepared.setString(2, "é".repeat(1000));
          ResultSet row = prepared.executeQuery();
          row.next();
          expect(row.getInt(1), n + 1);
          expect(row.getString(2), "é".repeat(1000));
        }
      }
      return "twice";
    });
    check(driver.name + " transaction", () -> {
      statement.execute("CREATE TEMPORARY TABLE t (n INT) ENGINE=InnoDB");
      connection.setAutoCommit(false);
      statement.execute("INSERT INTO t VALUES (1), (2)");
      connection.commit();
      statement.execute("INSERT INTO t VALUES (3)");
      connection.rollback();
      connection.setAutoCommit(true);
      return expect(first(connection, "SELECT COUNT(*) FROM t").getInt(1), 2);
    });
    check(driver.name + " error, then on", () -> {
      try {
        statement.execute("SELEC 1");
      } catch (SQLException error) {
        expect(error.getErrorCode(), 1064);
        return expect(first(connection, "SELECT 7").getInt(1), 7);
      }
      throw new IllegalStateException("a syntax error was not reported");
    });
    check(driver.name + " several results", () -> {
      List<Integer> got = new ArrayList<>();
      for (boolean more = statement.execute("SELECT 1; SELECT 2; SELECT 3"); more; more = statement.getMoreResults()) {
        ResultSet row = statement.getResultSet();
        row.next();
        got.add(row.getInt(1));
      }
      return expect(got, List.of(1, 2, 3));
    });
    // MariaDB's driver has no change of user, no cursors on the server, and does not always send a reset.
    if (connection instanceof com.mysql.cj.jdbc.JdbcConnection mine) {
      check(driver.name + " COM_RESET_CONNECTION", () -> {
        first(connection, "SELECT @mine := 1");
        mine.resetServerState();
        return expect("" + first(connection, "SELECT @mine").getString(1), "null");
      });
      check(driver.name + " COM_CHANGE_USER", () -> {
        mine.changeUser(USER, PASSWORD);
        return expect(first(connection, "SELECT CURRENT_USER()").getString(1).split("@")[0], USER);
      });
      check(driver.name + " cursor on the server", () -> cursor(driver));
    }
    check(driver.name + " cancel", () -> interrupted(driver, Statement::cancel));
    check(driver.name + " query timeout", () -> interrupted(driver, null));
    check(driver.name + " killed, reconnects", () -> killed(driver));
  }

  /** A cursor that the server keeps: 5000 rows, 100 at a time, another statement between two fetches. */
  static Object cursor(Driver driver) throws SQLException {
    try (Connection connection = driver.connect("&useServerPrepStmts=true&useCursorFetch=true")) {
      connection.createStatement().execute(ON_MARIADB ? "SET max_recursive_iterations = 10000" : "SET cte_max_recursion_depth = 10000");
      PreparedStatement statement = connection.prepareStatement("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT i, REPEAT('x', 500) FROM n");
      statement.setFetchSize(100);
      statement.setInt(1, 5000);
      ResultSet rows = statement.executeQuery();
      int count = 0;
      while (rows.next()) {
        expect(rows.getInt(1), ++count);
        if (count == 1500) first(connection, "SELECT 1");
      }
      expect(count, 5000);
      int fetches = first(connection, "SHOW SESSION STATUS LIKE 'Com_stmt_fetch'").getInt(2);
      if (fetches < 50) throw new IllegalStateException("only " + fetches + " fetches: no cursor");
      return fetches + " fetches";
    }
  }

  interface Interrupt { void at(Statement statement) throws SQLException; }

  /** A query is ended by another thread, or without one by its timeout; the session lives on, and so does another's query. */
  static Object interrupted(Driver driver, Interrupt interrupt) throws Exception {
    String query = "SELECT SLEEP(30) /* " + driver.name + " " + (interrupt == null) + ProcessHandle.current().pid() + " */";
    try (Connection victim = driver.connect(""); Connection bystander = driver.connect(""); Connection watcher = driver.connect("")) {
      var undisturbed = CompletableFuture.supplyAsync(() -> slept(bystander));
      Statement statement = victim.createStatement();
      if (interrupt == null) {
        statement.setQueryTimeout(1);
      } else {
        CompletableFuture.runAsync(() -> {
          try {
            while (first(watcher, "SELECT COUNT(*) FROM information_schema.processlist WHERE info = '" + query + "'").getInt(1) == 0);
            interrupt.at(statement);
          } catch (SQLException error) {
            throw new IllegalStateException(error);
          }
        });
      }
      String how;
      try {
        ResultSet row = statement.executeQuery(query);
        row.next();
        how = "slept " + expect(row.getInt(1), 1);
      } catch (SQLException error) {
        how = error.getMessage();
      }
      expect(undisturbed.get(), 0);
      expect(first(victim, "SELECT 7").getInt(1), 7);
      return how;
    }
  }

  static int slept(Connection connection) {
    try {
      return first(connection, "SELECT SLEEP(3)").getInt(1);
    } catch (SQLException error) {
      return error.getErrorCode();
    }
  }

  static Object killed(Driver driver) throws SQLException {
    Connection connection = driver.connect("");
    String lost = "";
    for (String sql : new String[] {"KILL CONNECTION_ID()", "SELECT 1"}) {
      try {
        connection.createStatement().execute(sql);
        throw new IllegalStateException("the killed session answers " + sql);
      } catch (SQLException error) {
        lost = error.getMessage();
      }
    }
    expect(first(driver.connect(""), "SELECT 8").getInt(1), 8);
    return lost;
  }

  public static void main(String[] arguments) throws SQLException {
    String at = "//localhost:" + arguments[1] + "/sbtest?", pki = arguments[2];
    if (arguments[0].equals("security")) {
      security(at, pki);
    } else {
      session(mysql(at, pki));
      session(mariadb(at, pki));
    }
    System.exit(failed ? 1 : 0);
  }
}
