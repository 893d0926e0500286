"""What `app db lint` finds in a revision, and the exceptions that the revision states."""

import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

COMMENT = re.compile(r"#\s*lint:\s*(?P<text>.*)")
EXCEPTION = re.compile(r"allow\s+(?P<rule>[a-z-]+)\s*(?::\s*(?P<reason>.*))?")
HOW_TO_ALLOW = "# lint: allow <rule>: <reason>"


@dataclass(frozen=True)
class Finding:
    """`line` is the revision's; `recipe` says how to do it without harm, if there is a way."""

    line: int
    rule: str
    message: str
    recipe: str = ""
    is_error: bool = False


@dataclass(frozen=True)
class Exemption:
    """A comment `# lint: allow <rule>: <reason>`: it holds for the whole revision."""

    line: int
    rule: str
    reason: str


def read_exemptions(source: str) -> Iterator[Exemption]:
    """Yield those in the comments of a revision; one that cannot be read has no rule."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and (comment := COMMENT.fullmatch(token.string)):
            found = EXCEPTION.fullmatch(comment["text"].strip())
            rule, reason = (found["rule"], found["reason"]) if found else ("", "")
            yield Exemption(token.start[0], rule, (reason or "").strip())


def apply_exemptions(found: Iterable[Finding], source: str) -> list[Finding]:
    """Return what no exemption allows, and what is wrong with the exemptions, by line."""
    findings = list(found)
    exemptions = list(read_exemptions(source))
    rules = {each.rule for each in findings}
    allowed = {each.rule for each in exemptions if each.reason}
    left = [each for each in findings if each.rule not in allowed]
    for each in exemptions:
        if not each.rule:
            left.append(problem_of(each, "exemption-unreadable", "This exemption is not readable."))
        elif not each.reason:
            message = f"The exemption from {each.rule} has no reason."
            left.append(problem_of(each, "exemption-without-reason", message))
        elif each.rule not in rules:
            message = f"Nothing in this revision breaks the rule {each.rule}."
            recipe = "delete the exemption."
            left.append(Finding(each.line, "exemption-unused", message, recipe))
    return sorted(left, key=lambda each: each.line)


def problem_of(exemption: Exemption, rule: str, message: str) -> Finding:
    return Finding(exemption.line, rule, message, f"write {HOW_TO_ALLOW}", is_error=True)
