//! Names and roles: SPIFFE IDs, host names, settings that are compiled before they are stored.
