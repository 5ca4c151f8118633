"""What everything else stands on: progress, records, locks, gzip, the machine and its folders."""
