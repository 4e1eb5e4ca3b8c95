"""Which database a JDBC URL names, without its credentials."""
