"""HTTP: handlers, authentication, the OpenAPI document, and errors."""
