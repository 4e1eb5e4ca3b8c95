"""Whether a Deployment may start rolling out, and what is said when it may not."""
