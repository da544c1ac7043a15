//! The store's keys, initialisation, sealing, and what outlives a crash.
