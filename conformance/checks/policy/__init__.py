"""Policy propagation: a decision reaches every security server it concerns, without a restart and without a gap."""
