"""Write docs/contracts.md: ``python -m netflix_assets.dev.contract_docs [--check]``."""

import sys

from netflix_assets.dev.contract_docs.page import PAGE, render


def main() -> None:
    """Write the page; with --check, only say whether it differs from the model, and exit with 1 if so."""
    text = render()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        sys.exit(f"docs/{PAGE.name} differs from the contract model or its examples. Update it with: make sources")


if __name__ == "__main__":
    main()
