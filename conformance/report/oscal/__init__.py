"""The record in OSCAL, the language in which governance tools exchange assessments (NIST, version 1.2.1)."""
