"""What has no dynamics in it: validation, files, memory, threads, and just-in-time compilation."""
