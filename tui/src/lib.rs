//! The dashboard: live paths, routes and events of a natsd.
