"""What goes wrong around Cloudo: disks, locks, clocks, processes that stand still."""
