"""How a number about the network comes to be: methods, agents, and readers of other tools' results."""
