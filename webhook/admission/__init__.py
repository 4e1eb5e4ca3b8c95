"""The admission webhooks: HTTP in, AdmissionReview out, the verdict asked from the rules."""
