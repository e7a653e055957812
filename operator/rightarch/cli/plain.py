"""Plain text: what others wrote, for a terminal."""


def plain(value: str) -> str:
    """Text without control characters: whoever makes an image chooses it, and a terminal obeys them."""
    return "".join(character if character.isprintable() else "?" for character in value)
