"""What `app db doctor` examines on PostgreSQL."""

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

CREATE_INDEX = "CREATE INDEX CONCURRENTLY {name} ON {table} ({columns});"
DROP_INDEX = "DROP INDEX CONCURRENTLY {name};"
# Of the server, of the database and of the role, whichever is the lowest.
CONNECTION_LIMIT = """
    SELECT least(
        current_setting('max_connections')::int
            - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true)::int, 0),
        nullif(datconnlimit, -1),
        nullif(rolconnlimit, -1)
    )
    FROM pg_database, pg_roles WHERE datname = current_database() AND rolname = current_user
"""

INVALID_INDEX = QueryCheck(
    name="invalid-index",
    severity=Severity.WARNING,
    query=r"""
        SELECT indexrelid::regclass::text AS name, indrelid::regclass::text AS table_name,
            CASE WHEN relname LIKE '%\_ccnew%' THEN 'DROP' ELSE 'REINDEX' END AS verb
        FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE NOT indisvalid AND relkind = 'i' AND indexrelid NOT IN (
            SELECT index_relid FROM pg_stat_progress_create_index WHERE index_relid IS NOT NULL
        )
        ORDER BY 1
    """,
    what="{name} of {table_name} is invalid.",
    why="It was not built to its end. No query uses it, and each write maintains it.",
    mend="{verb} INDEX CONCURRENTLY {name};",
)
UNVALIDATED_CONSTRAINT = QueryCheck(
    name="unvalidated-constraint",
    severity=Severity.WARNING,
    # Up to version 17, there is no `conenforced`.
    query="""
        SELECT quote_ident(conname) AS name, conrelid::regclass::text AS table_name
        FROM pg_constraint
        WHERE NOT convalidated AND conrelid <> 0
            AND coalesce((to_jsonb(pg_constraint) ->> 'conenforced')::boolean, true)
        ORDER BY 1
    """,
    what="{name} of {table_name} was added with NOT VALID, and never validated.",
    why="Rows from before may break it, and the planner does not rely on it.",
    mend="ALTER TABLE {table_name} VALIDATE CONSTRAINT {name};",
)
UNUSED_INDEX = QueryCheck(
    name="unused-index",
    severity=Severity.HINT,
    # Those of foreign keys are needed as soon as a row of the other table is deleted.
    query="""
        SELECT i.indexrelid::regclass::text AS name, i.indrelid::regclass::text AS table_name,
            pg_size_pretty(pg_relation_size(i.indexrelid)) AS size,
            to_char(since, 'YYYY-MM-DD') AS since
        FROM pg_stat_user_indexes JOIN pg_index AS i USING (indexrelid), (
            SELECT coalesce(stats_reset, pg_postmaster_start_time()) AS since
            FROM pg_stat_database WHERE datname = current_database()
        ) AS statistics
        WHERE idx_scan = 0 AND NOT indisunique AND NOT indisexclusion AND indisvalid
            AND pg_relation_size(i.indexrelid) >= :bytes
            AND since <= now() - make_interval(secs => :seconds)
            AND NOT EXISTS (
                SELECT FROM pg_constraint
                WHERE contype = 'f' AND conrelid = i.indrelid AND conkey[1] = i.indkey[0]
            )
        ORDER BY 1
    """,
    what="{name} of {table_name}, {size}, was not used since {since}.",
    why="Each write maintains it. Look at replicas, too: each counts its own queries.",
    mend="DROP INDEX CONCURRENTLY {name}; and remove it from the model.",
    limits={"bytes": 1024**2, "seconds": 7 * 86_400},
)
MISSING_STATISTICS = QueryCheck(
    name="missing-statistics",
    severity=Severity.WARNING,
    query="""
        SELECT relid::regclass::text AS table_name,
            pg_size_pretty(pg_relation_size(relid)) AS size
        FROM pg_stat_user_tables JOIN pg_class ON pg_class.oid = relid
        WHERE reltuples <= 0 AND pg_relation_size(relid) >= :bytes
        ORDER BY 1
    """,
    what="{table_name}, {size}, was never analyzed.",
    why="The planner guesses how many rows a query finds.",
    mend="ANALYZE {table_name};",
    limits={"bytes": 1024**2},
)
DEAD_ROWS = QueryCheck(
    name="dead-rows",
    severity=Severity.WARNING,
    query="""
        SELECT relid::regclass::text AS table_name, n_dead_tup AS dead, n_live_tup AS live
        FROM pg_stat_user_tables WHERE n_dead_tup >= :rows AND n_dead_tup > 0.4 * n_live_tup
        ORDER BY 1
    """,
    what="{table_name} has {dead} dead rows beside {live} others.",
    why="Queries read them, too. Autovacuum cannot keep up, or an old transaction prevents it.",
    mend="VACUUM (ANALYZE) {table_name};",
    limits={"rows": 10_000},
)
BLOAT = QueryCheck(
    name="bloat",
    severity=Severity.HINT,
    # 28 bytes: a row's header and its pointer.
    query="""
        SELECT table_name, pg_size_pretty(bytes) AS size, pg_size_pretty(needed::bigint) AS needed
        FROM (
            SELECT c.oid::regclass::text AS table_name, pg_relation_size(c.oid) AS bytes,
                reltuples * (28 + (
                    SELECT sum((1 - null_frac) * avg_width) FROM pg_stats
                    WHERE schemaname = nspname AND tablename = relname AND NOT inherited
                )) AS needed
            FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
            WHERE relkind = 'r' AND reltuples >= 0
                AND nspname NOT IN ('pg_catalog', 'information_schema')
        ) AS tables
        WHERE bytes >= :bytes AND bytes > 2 * needed
        ORDER BY 1
    """,
    what="{table_name} takes {size}; by an estimate, its rows need {needed}.",
    why="Space of deleted rows is used again, but not given back. Scans read it.",
    mend="VACUUM FULL {table_name}; (it locks the table; the extension pg_repack does not)",
    limits={"bytes": 100 * 1024**2},
)
NEARLY_USED_UP = QueryCheck(
    name="keys-nearly-used-up",
    severity=Severity.WARNING,
    # A sequence is also limited by the type of the column that it belongs to.
    query="""
        SELECT sequence_name, column_name, floor(100 * used) AS percent,
            CASE WHEN used >= 0.9 THEN 'error' ELSE 'warning' END AS severity
        FROM (
            SELECT seqrelid::regclass::text AS sequence_name,
                coalesce(refobjid::regclass || '.' || quote_ident(attname), 'a column')
                    AS column_name,
                last_value::numeric / least(seqmax, CASE atttypid
                    WHEN 'smallint'::regtype THEN 32767
                    WHEN 'integer'::regtype THEN 2147483647
                END) AS used
            FROM pg_sequence
            JOIN pg_sequences ON seqrelid = format('%I.%I', schemaname, sequencename)::regclass
            LEFT JOIN pg_depend ON classid = 'pg_class'::regclass AND objid = seqrelid
                AND deptype IN ('a', 'i') AND refobjsubid > 0
            LEFT JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
            WHERE seqincrement > 0 AND NOT seqcycle
        ) AS sequences
        WHERE used >= :used ORDER BY 1
    """,
    what="{sequence_name}, of {column_name}, has used {percent} % of its numbers.",
    why="After the last one, every INSERT fails.",
    mend="In the model: mapped_column(BigInteger), then a revision. It rewrites the table.",
    limits={"used": 0.7},
)
OLD_TRANSACTION_IDS = QueryCheck(
    name="old-transaction-ids",
    severity=Severity.WARNING,
    query="""
        SELECT age(datfrozenxid) AS age,
            CASE WHEN age(datfrozenxid) > 1200000000 THEN 'error' ELSE 'warning' END AS severity
        FROM pg_database WHERE datname = current_database() AND age(datfrozenxid) >= :age
    """,
    what="The oldest transaction id is {age} transactions old.",
    why="At two billion the server accepts no more writes. Autovacuum should start at 0.2 billion.",
    mend="End old transactions and unused replication slots, then: VACUUM (FREEZE);",
    limits={"age": 600_000_000},
)
LONG_TRANSACTION = QueryCheck(
    name="long-transaction",
    severity=Severity.WARNING,
    query="""
        SELECT pid, usename, state, floor(extract(epoch FROM now() - xact_start)) AS seconds
        FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
            AND backend_type = 'client backend'
            AND xact_start <= now() - make_interval(secs => :seconds)
        ORDER BY xact_start
    """,
    what="Process {pid} of the role {usename} is in a transaction for {seconds} seconds: {state}.",
    why="It keeps its locks, and VACUUM from removing dead rows of all tables.",
    mend="SELECT pg_terminate_backend({pid});",
    limits={"seconds": 300},
)
WAITING = QueryCheck(
    name="waiting-for-lock",
    severity=Severity.WARNING,
    query="""
        SELECT pid, floor(extract(epoch FROM now() - query_start)) AS seconds, blocker
        FROM pg_stat_activity, unnest(pg_blocking_pids(pid)) AS blocker
        WHERE datname = current_database() AND wait_event_type = 'Lock'
            AND query_start <= now() - make_interval(secs => :seconds)
        ORDER BY query_start, blocker
    """,
    what="Process {pid} waits for {seconds} seconds for a lock that process {blocker} has.",
    why="Requests that need the same rows queue behind it, and fail with a 503.",
    mend="SELECT pg_terminate_backend({blocker});",
    limits={"seconds": 2},
)
UNUSED_SLOT = QueryCheck(
    name="unused-replication-slot",
    severity=Severity.WARNING,
    query="""
        SELECT quote_literal(slot_name) AS slot, pg_size_pretty(bytes) AS size
        FROM (
            SELECT slot_name, pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery()
                THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, restart_lsn) AS bytes
            FROM pg_replication_slots WHERE NOT active
        ) AS slots
        WHERE bytes >= :bytes ORDER BY 1
    """,
    what="Nobody reads the replication slot {slot}. It keeps {size} of the write-ahead log.",
    why="The log grows until the disk is full.",
    mend="SELECT pg_drop_replication_slot({slot});",
    limits={"bytes": 1024**3},
)
HIDDEN_SESSIONS = QueryCheck(
    name="not-examined",
    severity=Severity.NOTE,
    query="""
        SELECT count(*) AS sessions, quote_ident(current_user) AS role FROM pg_stat_activity
        WHERE datname = current_database() AND query = '<insufficient privilege>'
        HAVING count(*) > 0
    """,
    what="The sessions of other roles are hidden: {sessions}. To see them needs pg_monitor.",
    why="Their long transactions and locks stay unseen.",
    mend="GRANT pg_monitor TO {role};",
)
SETTINGS = (
    SafeSetting(
        "fsync",
        lambda value: value == "on",
        Severity.ERROR,
        "After a crash of the machine the data can be lost as a whole.",
        "ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf();",
    ),
    SafeSetting(
        "full_page_writes",
        lambda value: value == "on",
        Severity.ERROR,
        "After a crash of the machine pages can be half old and half new.",
        "ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf();",
    ),
    SafeSetting(
        "synchronous_commit",
        lambda value: value != "off",
        Severity.WARNING,
        "After a crash the last commits are lost, though clients were told of success.",
        "ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();",
    ),
    SafeSetting(
        "autovacuum",
        lambda value: value == "on",
        Severity.ERROR,
        "Nothing removes dead rows, and statistics get old.",
        "ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf();",
    ),
    SafeSetting(
        "track_counts",
        lambda value: value == "on",
        Severity.ERROR,
        "Autovacuum does nothing without.",
        "ALTER SYSTEM SET track_counts = on; SELECT pg_reload_conf();",
    ),
    SafeSetting(
        "zero_damaged_pages",
        lambda value: value == "off",
        Severity.ERROR,
        "A damaged page is overwritten with nothing when it is read.",
        "ALTER SYSTEM SET zero_damaged_pages = off; SELECT pg_reload_conf();",
    ),
)


async def find_unsafe_settings(connection: AsyncConnection) -> list[Finding]:
    names = [each.name for each in SETTINGS]
    query = text("SELECT name, setting FROM pg_settings WHERE name = ANY(:names)")
    rows = await connection.execute(query, {"names": names})
    return unsafe_settings(SETTINGS, {row[0]: row[1] for row in rows})


CHECKS: tuple[Check, ...] = (
    INVALID_INDEX,
    UNVALIDATED_CONSTRAINT,
    UNUSED_INDEX,
    MISSING_STATISTICS,
    DEAD_ROWS,
    BLOAT,
    NEARLY_USED_UP,
    OLD_TRANSACTION_IDS,
    LONG_TRANSACTION,
    WAITING,
    UNUSED_SLOT,
    HIDDEN_SESSIONS,
    find_unsafe_settings,
)
