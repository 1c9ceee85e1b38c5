"""Authorization: a call passes because a rule allows it, or not at all."""
