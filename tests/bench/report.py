"""What the audit's report costs for 200 Gateways with 5,000 refusals: CPU and size (part of ``make bench``)."""

import sys
import time

from tests.support.surveys import large
from webhook.audit.report.html.report import render


def main() -> None:
    """Print the figures; the second page is made of texts that were seen before, as a view's next one is."""
    survey = large()
    for name in ("first", "again"):
        begin = time.process_time()
        page = render(survey)
        spent = time.process_time() - begin
        sys.stdout.write(f"report, {name}: {spent:.2f} s of CPU, {len(page) / 1e6:.2f} MB\n")


if __name__ == "__main__":
    main()
