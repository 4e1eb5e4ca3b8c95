"""``schemagate audit``: scan, rejections and report."""
