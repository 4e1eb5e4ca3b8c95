"""Writes the generated parts of the README: ``make docs``."""

from pathlib import Path

from webhook.policy.reasons import Reason

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- reasons: generated, see `make docs` -->\n", "<!-- /reasons -->"


def reason_table() -> str:
    """The table of reasons, from the code."""
    rows = [f"| `{reason.value}` | {reason.effect} | {reason.meaning} |" for reason in Reason]
    return "\n".join(["| reason | effect | meaning |", "|---|---|---|", *rows]) + "\n"


def generated(text: str) -> str:
    """The README with its generated parts made anew."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}{reason_table()}{END}{tail}"


if __name__ == "__main__":
    README.write_text(generated(README.read_text(encoding="utf-8")), encoding="utf-8")
