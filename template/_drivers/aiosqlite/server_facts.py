"""What SQLite tells about a connection, and what to do if it cannot open the file."""

__all__ = ["CURES", "FACTS"]

# For each fact the queries to try in turn: the first that the database knows is taken.
FACTS = {
    "server": ("SELECT 'SQLite ' || sqlite_version()",),
    "file": ("SELECT file FROM pragma_database_list WHERE name = 'main'",),
    "writable": (
        "SELECT CASE WHEN query_only THEN 'no, read only' ELSE 'yes' END FROM pragma_query_only",
    ),
    "journal": (
        "SELECT journal_mode || ', synchronous '"
        " || CASE synchronous WHEN 0 THEN 'off' WHEN 1 THEN 'normal' ELSE 'full' END"
        " FROM pragma_journal_mode, pragma_synchronous",
    ),
    "foreign keys": (
        "SELECT CASE WHEN foreign_keys THEN 'checked' ELSE 'not checked' END"
        " FROM pragma_foreign_keys",
    ),
}
# By the name of the error.
CURES = {
    "SQLITE_BUSY": "Another process is writing: try again.",
    "SQLITE_CANTOPEN": "Create the folder of the file, and let the service write to it.",
    "SQLITE_CORRUPT": "The file is damaged: restore a backup.",
    "SQLITE_FULL": "The disk is full.",
    "SQLITE_NOTADB": "Check the path in the URL.",
    "SQLITE_PERM": "Let the service read and write the file.",
    "SQLITE_READONLY": "Let the service write to the file and to its folder.",
}
