//! Environments, their lifecycle, and the drivers that really run them.
