"""The life of a migration: what a Deployment is headed for, its Job, the evidence, the record of it."""
