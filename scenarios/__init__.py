"""Named what-ifs: changes to a network or to a history. None are written yet."""
