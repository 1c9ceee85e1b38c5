"""That there is no way to a building block but through its security server, wherever the two stand."""
