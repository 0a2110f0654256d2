//! Who may call what: credentials, permissions, grants, and the layer that enforces them.
