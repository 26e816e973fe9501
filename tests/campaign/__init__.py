"""What strangers send, kills, full disks and odd surroundings: README.md says what each module does."""
