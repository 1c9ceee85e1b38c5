"""Discovery and load balancing: calls follow the endpoints as they come and go."""
