"""Everything people and programs touch: today, the command line."""
