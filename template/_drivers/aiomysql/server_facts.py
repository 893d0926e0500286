"""What MySQL and MariaDB tell about a connection, and what to do if they refuse one."""

__all__ = ["CURES", "FACTS"]

# For each fact the queries to try in turn: the first that the server knows is taken.
FACTS = {
    "server": ("SELECT CONCAT(IF(VERSION() LIKE '%MariaDB%', 'MariaDB ', 'MySQL '), VERSION())",),
    "encrypted": (
        "SELECT IF(variable_value = '', 'no', variable_value)"
        " FROM performance_schema.session_status WHERE variable_name = 'Ssl_version'",
        "SELECT IF(variable_value = '', 'no', variable_value)"
        " FROM information_schema.session_status WHERE variable_name = 'Ssl_version'",
    ),
    "role": ("SELECT CURRENT_USER()",),
    "writable": ("SELECT IF(@@global.read_only, 'no, read only', 'yes')",),
    "time zone": ("SELECT @@session.time_zone",),
    "isolation": ("SELECT @@session.transaction_isolation", "SELECT @@session.tx_isolation"),
    "deadlines": (
        "SELECT CONCAT('statement ', ROUND(@@session.max_execution_time / 1000), ' s, lock ',"
        " @@session.innodb_lock_wait_timeout, ' s')",
        "SELECT CONCAT('statement ', ROUND(@@session.max_statement_time), ' s, lock ',"
        " @@session.innodb_lock_wait_timeout, ' s')",
    ),
}
# By the code of the error.
CURES = {
    "1040": "The server has no connection left: lower DATABASE_POOL_SIZE, or raise its limit.",
    "1044": "Grant the user access to the database: docs/database.md has the SQL.",
    "1045": "Check the user and the password in the URL. Percent-encode the password.",
    "1049": "Create the database, or check its name in the URL.",
    "1142": "Grant the user what it needs: docs/database.md has the SQL.",
    "1698": "Check the user in the URL: the server lets this one in without a password only.",
}
