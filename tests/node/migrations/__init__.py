"""The whole story on real pods and a real database: stand-ins for a Gateway that run Liquibase on MariaDB."""
