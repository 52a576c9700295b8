"""Forms: their elements, and what is answered to them."""
