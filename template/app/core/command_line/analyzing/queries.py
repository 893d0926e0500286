"""What an index needs to know of a statement: its tables, conditions and order.

This is no parser of SQL. It knows the SQL that SQLAlchemy writes, and what people write like it.
What it does not recognize is left out, so an index is rather not proposed than proposed wrongly.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

TEXTS = re.compile(r"'(?:[^']|'')*'")
QUOTES = re.compile(r'["`](\w+)["`]')
VALUE = r"(?:\$\d+(?:::[\w ]+)?|%s|\?)"
VALUES = re.compile(rf"\({VALUE}(?:,\s*{VALUE})+\)")
INNERMOST = re.compile(r"\(([^()]*)\)")
OR = re.compile(r"\bOR\b", re.IGNORECASE)
KEYWORDS = "WHERE|ON|JOIN|LEFT|INNER|CROSS|ORDER|GROUP|LIMIT|SET|VALUES|FOR|USING|SELECT|HAVING"
NAMED = rf"\w+(?:\s+(?:AS\s+)?(?!(?:{KEYWORDS})\b)\w+)?"
TABLES = re.compile(rf"\b(?:FROM|JOIN|UPDATE|INTO)\s+({NAMED}(?:\s*,\s*{NAMED})*)", re.IGNORECASE)
# Kept parentheses are « and ».
CONDITION = re.compile(
    r"(?:\bWHERE|\bAND|\bON|«)\s*(?:(?P<table>\w+)\.)?(?P<column>\w+)\s*"
    r"(?P<operator><>|!=|<=|>=|=|<|>|IN\b|BETWEEN\b|IS\s+NULL\b)\s*"
    r"(?:(?P<other>[a-z_]\w*)\.\w+)?",
    re.IGNORECASE,
)
ORDER_BY = re.compile(
    r"\bORDER BY\s+(.*?)(?:\s+(?:LIMIT|OFFSET|FETCH|FOR)\b|$)", re.IGNORECASE | re.DOTALL
)
ORDERED = re.compile(
    r"(?:(?P<table>\w+)\.)?(?P<column>\w+)(?:\s+(?P<direction>ASC|DESC))?", re.IGNORECASE
)
WHERE = re.compile(r"\bWHERE\b", re.IGNORECASE)
LIMIT = re.compile(r"\b(?:LIMIT|FETCH FIRST)\b", re.IGNORECASE)
INSERT = re.compile(r"\s*(?:INSERT|REPLACE)\b", re.IGNORECASE)
SELECT = re.compile(r"\bSELECT\b", re.IGNORECASE)


@dataclass(frozen=True)
class Condition:
    """`operator` is `=`, `IN`, `NULL` or `range`. `other` is the table of the other column."""

    table: str
    column: str
    operator: str
    other: str | None = None


@dataclass(frozen=True)
class Query:
    """`aliases` has the name of the table for each name that the statement uses."""

    aliases: Mapping[str, str]
    conditions: tuple[Condition, ...] = ()
    order_by: tuple[tuple[str, str], ...] = ()  # the tables and columns, if all are plain columns
    has_where: bool = False
    has_limit: bool = False
    is_insert: bool = False  # of values: there is nothing to find


def shorten(sql: str) -> str:
    """Return the statement in one line. Lists of values are the same, whatever their length."""
    return VALUES.sub("(…)", " ".join(sql.split()))


def read_query(sql: str, tables: Mapping[str, frozenset[str]]) -> Query:
    """Read a statement. `tables` has the columns of the tables of the database."""
    plain = QUOTES.sub(r"\1", TEXTS.sub("''", sql))
    named = [each.split() for found in TABLES.finditer(plain) for each in found[1].split(",")]
    aliases = {words[-1]: words[0] for words in named if words[0] in tables}
    outer = plain
    while INNERMOST.search(outer):
        outer = INNERMOST.sub("", outer)
    reader = Reader(aliases, tables)
    return Query(
        aliases,
        tuple(reader.conditions(without_alternatives(plain))),
        tuple(reader.order_by(outer)),
        has_where=WHERE.search(plain) is not None,
        has_limit=LIMIT.search(outer) is not None,
        is_insert=INSERT.match(outer) is not None and SELECT.search(plain) is None,
    )


def without_alternatives(sql: str) -> str:
    """Leave out each group with an OR: no index of one column finds its rows."""
    while found := INNERMOST.search(sql):
        kept = "" if OR.search(found[1]) else found[1]
        sql = f"{sql[: found.start()]}«{kept}»{sql[found.end() :]}"
    return "" if OR.search(sql) else sql


@dataclass(frozen=True)
class Reader:
    aliases: Mapping[str, str]
    tables: Mapping[str, frozenset[str]]

    def conditions(self, sql: str) -> Iterator[Condition]:
        for found in CONDITION.finditer(sql):
            table = self.table_of(found["table"], found["column"])
            operator = " ".join(found["operator"].upper().split())
            if table is None or operator in {"<>", "!="}:
                continue
            if found["other"] and found["other"] not in self.aliases:
                continue
            kind = {"=": "=", "IS NULL": "NULL", "IN": "IN"}.get(operator, "range")
            other = self.aliases.get(found["other"] or "")
            yield Condition(table, found["column"], kind, other)
            yield from self.turned(found["other"], found[0], table, kind)

    def turned(self, other: str | None, text: str, table: str, kind: str) -> Iterator[Condition]:
        """`a.x = b.y` is a condition on `b`, too."""
        column = text.rpartition(".")[2]
        if other and kind == "=" and (name := self.table_of(other, column)):
            yield Condition(name, column, kind, table)

    def order_by(self, sql: str) -> Iterator[tuple[str, str]]:
        ordered = ORDER_BY.search(sql)
        items = ordered[1].split(",") if ordered else []
        found = [match for item in items if (match := ORDERED.fullmatch(item.strip()))]
        names = [(self.table_of(each["table"], each["column"]), each["column"]) for each in found]
        directions = {(each["direction"] or "ASC").upper() for each in found}
        # An index has the order of several columns in one direction only.
        if len(found) == len(items) and len(directions) == 1:
            known = [(table, column) for table, column in names if table is not None]
            yield from known if len(known) == len(items) else ()

    def table_of(self, alias: str | None, column: str) -> str | None:
        if alias is not None:
            table = self.aliases.get(alias)
            return table if table and column in self.tables[table] else None
        having = {name for name in self.aliases.values() if column in self.tables[name]}
        return having.pop() if len(having) == 1 else None
