"""The field's rules as pure code and versioned data: items and limits, bytes, terms, fitting, prompts."""
