"""What PostgreSQL tells about a connection, and what to do if it refuses one."""

__all__ = ["CURES", "FACTS"]

# For each fact the queries to try in turn: the first that the server knows is taken.
FACTS = {
    "server": ("SELECT 'PostgreSQL ' || current_setting('server_version')",),
    "encrypted": (
        "SELECT CASE WHEN ssl THEN version ELSE 'no' END FROM pg_stat_ssl"
        " WHERE pid = pg_backend_pid()",
    ),
    "role": ("SELECT current_user::text",),
    "writable": (
        "SELECT CASE WHEN pg_is_in_recovery() THEN 'no, a standby'"
        " WHEN current_setting('transaction_read_only') = 'on' THEN 'no, read only' ELSE 'yes' END",
    ),
    "time zone": ("SELECT current_setting('TimeZone')",),
    "isolation": ("SELECT current_setting('transaction_isolation')",),
    "deadlines": (
        "SELECT 'statement ' || current_setting('statement_timeout')"
        " || ', lock ' || current_setting('lock_timeout')"
        " || ', idle transaction ' || current_setting('idle_in_transaction_session_timeout')",
    ),
}
# By the code of the error.
CURES = {
    "28000": "Check the role in the URL, and the server's pg_hba.conf: it may demand sslmode.",
    "28P01": "Check the role and the password in the URL. Percent-encode the password.",
    "3D000": "Create the database, or check its name in the URL.",
    "42501": "Grant the role what it needs: docs/database.md has the SQL.",
    "53300": "The server has no connection left: lower DATABASE_POOL_SIZE, or raise its limit.",
    "57P03": "The server is starting up or shutting down: try again.",
}
