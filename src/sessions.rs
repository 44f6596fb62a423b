//! Session tokens for the users of apps.
