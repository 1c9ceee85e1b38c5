"""What a running mesh shows of itself: a page for people, the same as JSON, and metrics for a monitoring system."""
