"""The tests of Cloudo, in folders by what they cost."""
