//! From a code to a verified user and a grant.
