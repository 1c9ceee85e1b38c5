"""What the suite asks of the operating system: child processes, private folders, deadlines."""
