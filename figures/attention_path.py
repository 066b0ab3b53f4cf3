"""x"""


def draw(results):
    """x"""
