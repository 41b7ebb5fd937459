"""A store shown to people: text, pictures, pages."""
