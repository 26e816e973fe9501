"""The search for the settings that meet a target at the least cost."""
