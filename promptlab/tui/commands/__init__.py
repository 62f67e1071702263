"""Every key of the interface, a table for each screen: they feed the bindings, the command palette and the help."""
