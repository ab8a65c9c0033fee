//! cert-manager's API types, wire-compatible, and the rules of the API.
