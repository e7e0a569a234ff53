"""Find out how unknown files are written and what is in them, and propose a contract with the evidence."""
