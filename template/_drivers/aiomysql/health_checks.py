"""What `app db doctor` examines on MySQL and MariaDB.

The comments in queries are code: `/*M!` runs on MariaDB only, `/*!80000` on MySQL only.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.command_line.examining.findings import (
    Check,
    Finding,
    QueryCheck,
    SafeSetting,
    Severity,
    unsafe_settings,
)

__all__ = ["CHECKS", "CONNECTION_LIMIT", "CREATE_INDEX", "DROP_INDEX"]

CREATE_INDEX = "CREATE INDEX {name} ON {table} ({columns});"
DROP_INDEX = "DROP INDEX {name} ON {table};"
# Of the server, or of the account.
CONNECTION_LIMIT = """
    SELECT IF(@@max_user_connections > 0,
        LEAST(@@max_user_connections, @@max_connections), @@max_connections)
"""
GRANT_PROCESS = "GRANT PROCESS ON *.* TO the account of the service;"
GRANT_SELECT = "GRANT SELECT ON performance_schema.* TO the account of the service;"
# MySQL shows numbers of tables as they were up to a day ago.
FRESH = "SET @fresh = 1 /*!80000 , SESSION information_schema_stats_expiry = 0 */"

OTHER_ENGINE = QueryCheck(
    name="table-without-transactions",
    severity=Severity.ERROR,
    query="""
        SELECT table_name AS table_name, engine AS engine FROM information_schema.tables
        WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' AND engine <> 'InnoDB'
        ORDER BY 1
    """,
    what="{table_name} has the engine {engine}.",
    why="It has no transactions and no foreign keys: what fails halfway stays halfway.",
    mend="ALTER TABLE `{table_name}` ENGINE=InnoDB;",
)
NEARLY_USED_UP = QueryCheck(
    name="keys-nearly-used-up",
    severity=Severity.WARNING,
    before=FRESH,
    query="""
        SELECT table_name, column_name, FLOOR(100 * used) AS percent,
            IF(used >= 0.9, 'error', 'warning') AS severity
        FROM (
            SELECT t.table_name AS table_name, c.column_name AS column_name,
                t.auto_increment / (IF(c.column_type LIKE '%unsigned%', 2, 1) * CASE c.data_type
                    WHEN 'tinyint' THEN 127
                    WHEN 'smallint' THEN 32767
                    WHEN 'mediumint' THEN 8388607
                    WHEN 'int' THEN 2147483647
                    ELSE 9223372036854775807
                END) AS used
            FROM information_schema.tables AS t JOIN information_schema.columns AS c
                ON c.table_schema = t.table_schema AND c.table_name = t.table_name
            WHERE t.table_schema = DATABASE() AND c.extra LIKE '%auto_increment%'
        ) AS counted
        WHERE used >= :used ORDER BY 1
    """,
    what="{table_name}.{column_name} has used {percent} % of its numbers.",
    why="After the last one, every INSERT fails.",
    mend="In the model: mapped_column(BigInteger), then a revision. It rewrites the table.",
    limits={"used": 0.7},
)
FREE_SPACE = QueryCheck(
    name="bloat",
    severity=Severity.HINT,
    before=FRESH,
    query="""
        SELECT table_name AS table_name, ROUND(data_free / 1048576) AS free,
            ROUND((data_length + index_length + data_free) / 1048576) AS total
        FROM information_schema.tables
        WHERE table_schema = DATABASE() AND engine = 'InnoDB' AND data_free >= :bytes
            AND data_free >= :share * (data_length + index_length + data_free)
        ORDER BY 1
    """,
    what="{table_name} takes {total} MiB, of which {free} are free.",
    why="Space of deleted rows is used again, but not given back.",
    mend="OPTIMIZE TABLE `{table_name}`;",
    limits={"bytes": 100 * 1024**2, "share": 0.5},
)
NO_STATISTICS = QueryCheck(
    name="missing-statistics",
    severity=Severity.WARNING,
    query="""
        SELECT table_name AS table_name FROM information_schema.tables
        WHERE table_schema = DATABASE() AND LOWER(create_options) LIKE '%stats_auto_recalc=0%'
        ORDER BY 1
    """,
    what="{table_name} was created with STATS_AUTO_RECALC=0.",
    why="Its statistics stay as they were at the last ANALYZE TABLE.",
    mend="ALTER TABLE `{table_name}` STATS_AUTO_RECALC=DEFAULT; ANALYZE TABLE `{table_name}`;",
)
UNUSED_INDEX = QueryCheck(
    name="unused-index",
    severity=Severity.HINT,
    # Those of foreign keys are needed: the server refuses to drop them.
    query="""
        SELECT s.table_name AS table_name, s.index_name AS name
        FROM information_schema.statistics AS s
        JOIN performance_schema.table_io_waits_summary_by_index_usage AS used
            ON used.object_schema = s.table_schema AND used.object_name = s.table_name
            AND used.index_name = s.index_name AND used.count_star = 0
        WHERE s.table_schema = DATABASE() AND s.seq_in_index = 1 AND s.non_unique = 1
            AND NOT EXISTS (
                SELECT 1 FROM information_schema.key_column_usage AS k
                WHERE k.table_schema = s.table_schema AND k.table_name = s.table_name
                    AND k.column_name = s.column_name AND k.referenced_table_name IS NOT NULL
            )
            AND (
                SELECT variable_value + 0 FROM
                    /*M! information_schema */ /*!80000 performance_schema */.global_status
                WHERE variable_name = 'Uptime'
            ) >= :seconds
        ORDER BY 1, 2
    """,
    what="{name} of {table_name} was not used since the server was started, more than a week ago.",
    why="Each write maintains it. Look at replicas, too: each counts its own queries.",
    mend="DROP INDEX `{name}` ON `{table_name}`; and remove it from the model.",
    limits={"seconds": 7 * 86_400},
    grant=GRANT_SELECT,
)
UNCOUNTED_USE = QueryCheck(
    name="not-examined",
    severity=Severity.NOTE,
    query="""
        SELECT variable_value + 0 AS seconds FROM
            /*M! information_schema */ /*!80000 performance_schema */.global_status
        WHERE variable_name = 'Uptime' AND variable_value + 0 >= :seconds
            AND @@performance_schema = 0
    """,
    what="Unused indexes are not known: the server does not count the use of indexes.",
    why="Each write maintains them.",
    mend="Start the server with performance_schema=ON, and look again after a week.",
    limits={"seconds": 7 * 86_400},
)
LONG_TRANSACTION = QueryCheck(
    name="long-transaction",
    severity=Severity.WARNING,
    query="""
        SELECT trx_mysql_thread_id AS id, TIMESTAMPDIFF(SECOND, trx_started, SYSDATE()) AS seconds
        FROM (
            SELECT trx_mysql_thread_id, CONVERT_TZ(trx_started, 'SYSTEM', '+00:00') AS trx_started
            FROM information_schema.innodb_trx WHERE trx_mysql_thread_id <> 0
        ) AS transactions
        WHERE TIMESTAMPDIFF(SECOND, trx_started, SYSDATE()) >= :seconds ORDER BY trx_started
    """,
    what="Connection {id} is in a transaction for {seconds} seconds.",
    why="It keeps its locks, and the old versions of all rows that were changed since.",
    mend="KILL {id};",
    limits={"seconds": 300},
    grant=GRANT_PROCESS,
)
WAITING = QueryCheck(
    name="waiting-for-lock",
    severity=Severity.WARNING,
    query="""
        SELECT waiting.trx_mysql_thread_id AS id, blocking.trx_mysql_thread_id AS blocker
        FROM information_schema.innodb_trx AS waiting
        /*M! JOIN information_schema.innodb_lock_waits AS waits
            ON waits.requesting_trx_id = waiting.trx_id
        JOIN information_schema.innodb_trx AS blocking
            ON blocking.trx_id = waits.blocking_trx_id */
        /*!80000 JOIN performance_schema.data_lock_waits AS waits
            ON waits.requesting_engine_transaction_id = waiting.trx_id
        JOIN information_schema.innodb_trx AS blocking
            ON blocking.trx_id = waits.blocking_engine_transaction_id */
        WHERE TIMESTAMPDIFF(SECOND,
            CONVERT_TZ(waiting.trx_wait_started, 'SYSTEM', '+00:00'), SYSDATE()) >= :seconds
        ORDER BY 1, 2
    """,
    what="Connection {id} waits for a lock that connection {blocker} has.",
    why="Requests that need the same rows queue behind it, and fail with a 503.",
    mend="KILL {blocker};",
    limits={"seconds": 2},
    grant=f"{GRANT_PROCESS} on MySQL also: {GRANT_SELECT}",
)
OLD_VERSIONS = QueryCheck(
    name="dead-rows",
    severity=Severity.WARNING,
    query="""
        SELECT count AS transactions FROM information_schema.innodb_metrics
        WHERE name = 'trx_rseg_history_len' AND count >= :transactions
    """,
    what="The server keeps old versions of rows of {transactions} transactions.",
    why="Queries read them, too. A long transaction prevents that they are purged.",
    mend="End the long transactions that are listed here.",
    limits={"transactions": 1_000_000},
    grant=GRANT_PROCESS,
)
SETTINGS = (
    SafeSetting(
        "innodb_flush_log_at_trx_commit",
        lambda value: value == "1",
        Severity.WARNING,
        "After a crash the last second of commits is lost, though clients were told of success.",
        "SET GLOBAL innodb_flush_log_at_trx_commit = 1; and in the server's file of options.",
    ),
    SafeSetting(
        "sync_binlog",
        lambda value: value == "1",
        Severity.WARNING,
        "After a crash replicas and backups may lack the last commits.",
        "SET GLOBAL sync_binlog = 1; and in the server's file of options.",
    ),
    SafeSetting(
        "innodb_doublewrite",
        lambda value: value not in {"OFF", "0", "DETECT_ONLY"},
        Severity.ERROR,
        "After a crash of the machine pages can be half old and half new.",
        "innodb_doublewrite=ON in the server's file of options, then restart it.",
    ),
    SafeSetting(
        "innodb_force_recovery",
        lambda value: value == "0",
        Severity.ERROR,
        "The server was started to rescue data, not to serve.",
        "Rescue the data, then remove innodb_force_recovery from the server's file of options.",
    ),
    SafeSetting(
        "sql_mode",
        lambda value: "STRICT_TRANS_TABLES" in value or "STRICT_ALL_TABLES" in value,
        Severity.WARNING,
        "Other programs than this service store values that do not fit, cut off.",
        "SET GLOBAL sql_mode = CONCAT(@@GLOBAL.sql_mode, ',STRICT_TRANS_TABLES');"
        " and in the server's file of options.",
    ),
    SafeSetting(
        "foreign_key_checks",
        lambda value: value == "ON",
        Severity.ERROR,
        "Nothing prevents rows that refer to rows that are gone.",
        "SET GLOBAL foreign_key_checks = ON;",
    ),
    SafeSetting(
        "innodb_stats_persistent",
        lambda value: value == "ON",
        Severity.WARNING,
        "Statistics are lost at each restart, and estimated anew: plans change.",
        "SET GLOBAL innodb_stats_persistent = ON;",
    ),
    SafeSetting(
        "innodb_stats_auto_recalc",
        lambda value: value == "ON",
        Severity.WARNING,
        "Statistics stay as they were at the last ANALYZE TABLE.",
        "SET GLOBAL innodb_stats_auto_recalc = ON;",
    ),
)


async def find_unsafe_settings(connection: AsyncConnection) -> list[Finding]:
    names = ", ".join(f"'{each.name}'" for each in SETTINGS)
    rows = await connection.execute(
        text(f"SHOW GLOBAL VARIABLES WHERE variable_name IN ({names}, 'log_bin')")
    )
    values: dict[str, str] = {row[0]: row[1] for row in rows}
    if values.pop("log_bin", "OFF") == "OFF":
        values.pop("sync_binlog", None)
    return unsafe_settings(SETTINGS, values)


CHECKS: tuple[Check, ...] = (
    OTHER_ENGINE,
    NEARLY_USED_UP,
    FREE_SPACE,
    NO_STATISTICS,
    UNUSED_INDEX,
    UNCOUNTED_USE,
    LONG_TRANSACTION,
    WAITING,
    OLD_VERSIONS,
    find_unsafe_settings,
)
