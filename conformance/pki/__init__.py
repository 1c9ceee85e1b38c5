"""The test certificate authority of a run, with every bad certificate that a check needs."""
