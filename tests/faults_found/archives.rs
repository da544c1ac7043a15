//! Object identifiers, key stores, parameters that are checked before anything is signed.
