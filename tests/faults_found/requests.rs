//! Certificate signing requests and keys: what is read, refused and written again.
