"""docs/contracts.md: every option of a contract, with an example and what a right and a wrong file give."""
