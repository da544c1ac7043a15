//! The command line: trust, files that it writes, flags, checks of the configuration.
