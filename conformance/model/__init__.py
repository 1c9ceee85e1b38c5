"""The vocabulary of meshmark: requirements, checks, plans, verdicts, records. Pure values, no input or output."""
