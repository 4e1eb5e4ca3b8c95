"""A stand-in for a Gateway that runs real Liquibase on a real MariaDB; what it does, no cluster is needed for."""
