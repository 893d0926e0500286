"""How to change a table that a running version of the service uses: what any database needs."""

RECIPES = {
    "adding-required-field": (
        "give it a server_default, or add it nullable, fill in the rows, and make it NOT NULL in a"
        ' later revision ("A migration of data" in docs/patterns.md).'
    ),
    "adding-not-nullable-field": (
        'fill in the rows in an earlier revision ("A migration of data" in docs/patterns.md),'
        " deploy a version that sets the value, and name both as the reason of an exemption."
    ),
    "ban-drop-column": (
        "deploy a version whose model does not have the column. Drop it in a later revision, with"
        " that version as the reason of an exemption."
    ),
    "ban-drop-table": (
        "deploy a version that does not use the table. Drop it in a later revision, with that"
        " version as the reason of an exemption."
    ),
    "renaming-column": (
        'rename the attribute only: name: Mapped[str] = mapped_column("old_name"). Or add a column,'
        " write both, copy the values, and drop the old one in a later revision."
    ),
    "renaming-table": "rename the class only, and keep its __tablename__.",
    "changing-column-type": (
        "add a column of the new type, write both, copy the values in chunks, read the new one, and"
        " drop the old one in a later revision."
    ),
}
